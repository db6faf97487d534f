"""Recall, milliseconds and bytes of page search, beside other libraries, all in one run on the same pages.

    .venv/bin/python -m benchmarks.retrieval --pages 2000

Every query is asked of every contender before the next one comes, so that a busy machine slows all of them; the
ratio to compare is within this table. Recall is measured against float32 products over everything.
`--without` leaves out peers that take long to build (fast-plaid) or to ask (qdrant).
"""

import argparse
import json
import os
import platform
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import faiss
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.retrieval_data import DIM, made_up
from benchmarks.retrieval_peers import (
    Contender,
    brute_force,
    fast_plaid,
    maxsim,
    muvera,
    qdrant,
    single_vector,
)
from domain.fingerprint import Fingerprint
from domain.page import number_of, page_id
from retrieve.encoder import Floats, Vectors
from retrieve.engine import Engine, EngineOptions
from retrieve.native import kernel

RESULTS = Path(__file__).parent / "results" / "retrieval.json"
PACKAGES = ("faiss-cpu", "torch", "numpy", "fast-plaid", "maxsim-cpu", "qdrant-client")


def main() -> None:
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    faiss.omp_set_num_threads(arguments.threads)
    pages, queries = made_up(
        arguments.pages, arguments.tokens, queries=arguments.queries, query_tokens=arguments.query_tokens
    )
    exact = [truth(pages, query) for query in queries]
    with tempfile.TemporaryDirectory() as folder:
        makers: dict[str, Callable[[], Contender]] = {
            "everything": lambda: engine(pages, Path(folder) / "exact", exact_rows=10**9),
            "staged": lambda: engine(pages, Path(folder) / "staged", exact_rows=1),
            "fp32": lambda: brute_force(pages, torch.float32),
            "bf16": lambda: brute_force(pages, torch.bfloat16),
            "maxsim-cpu": lambda: maxsim(pages),
            "mean": lambda: single_vector(pages),
            "muvera": lambda: muvera(pages),
            "fast-plaid": lambda: fast_plaid(pages, Path(folder) / "plaid"),
            "qdrant": lambda: qdrant(pages),
        }
        contenders = []
        for name, make in makers.items():
            if name not in arguments.without:
                contenders.append(make())
                print(f"{name}: built in {contenders[-1].build_s:.1f} s", flush=True)
        rows = measured(contenders, queries, exact, pages=len(pages))
    for row in rows:
        print(row)
    report = {"provenance": provenance(arguments), "contenders": rows}
    arguments.out.write_text(json.dumps(report, indent=1) + "\n")


def truth(pages: Floats, query: Floats) -> NDArray[np.float64]:
    """The exact score of every page, summed in float64."""
    own = query.T
    blocks = range(0, len(pages), 32)
    return np.concatenate([
        (pages[at : at + 32] @ own).max(axis=1).sum(axis=1, dtype=np.float64) for at in blocks
    ])  # fmt: skip


def engine(pages: Floats, folder: Path, *, exact_rows: int) -> Contender:
    """Our engine: everything compared, or through the first stage."""
    start = time.perf_counter()
    opened = Engine.open(
        folder,
        fingerprint=Fingerprint("made-up"),
        dim=DIM,
        options=EngineOptions(exact_rows=10**9),
        writable=True,
    )
    for first in range(0, len(pages), 250):
        some = pages[first : first + 250]
        names = [page_id("d", first + at + 1) for at in range(len(some))]
        opened.add(names, [Vectors(page) for page in some])
    opened.close()
    opened = Engine.open(
        folder,
        fingerprint=Fingerprint("made-up"),
        dim=DIM,
        options=EngineOptions(exact_rows=exact_rows),
        writable=True,
    )
    seconds = time.perf_counter() - start

    def rank(query: Floats) -> NDArray[np.int64]:
        return np.array([number_of(hit.page) - 1 for hit in opened.search(Vectors(query), k=100)])

    size = opened.size()
    name = "recto, everything" if exact_rows > 1 else "recto, first stage"
    return Contender(name, rank, seconds, size.disk_bytes, size.memory_bytes)


def measured(
    contenders: Sequence[Contender], queries: Floats, exact: Sequence[NDArray[np.float64]], *, pages: int
) -> list[dict[str, object]]:
    """One row a contender, in their order; the first query warms up and is not counted."""
    wall: dict[str, list[float]] = {one.name: [] for one in contenders}
    work: dict[str, list[float]] = {one.name: [] for one in contenders}
    recall: dict[str, list[tuple[float, float]]] = {one.name: [] for one in contenders}
    for query, scores in zip(queries, exact, strict=True):
        order = np.argsort(-scores)
        for one in contenders:
            start, worked = time.perf_counter(), time.process_time()
            found = one.rank(query)
            wall[one.name].append((time.perf_counter() - start) * 1e3)
            work[one.name].append((time.process_time() - worked) * 1e3)
            recall[one.name].append(
                (np.isin(order[:10], found[:10]).mean(), np.isin(order[:100], found[:100]).mean())
            )
    return [
        {
            "name": one.name,
            "recall_at_10": round(float(np.mean([ten for ten, _ in recall[one.name][1:]])), 3),
            "recall_at_100": round(float(np.mean([hundred for _, hundred in recall[one.name][1:]])), 3),
            "wall_ms_p50": round(float(np.percentile(wall[one.name][1:], 50)), 1),
            "wall_ms_p95": round(float(np.percentile(wall[one.name][1:], 95)), 1),
            "processor_ms_p50": round(float(np.percentile(work[one.name][1:], 50)), 1),
            "build_s": round(one.build_s, 1),
            "disk_bytes_a_page": one.disk_bytes // pages,
            "memory_bytes_a_page": one.memory_bytes // pages,
        }
        for one in contenders
    ]


def provenance(arguments: argparse.Namespace) -> dict[str, object]:
    """What was measured, where and with what."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    compiled = kernel()
    return {
        "commit": commit,
        "data": "made-up pages, benchmarks/retrieval_data.py",
        "pages": arguments.pages,
        "tokens_a_page": arguments.tokens,
        "queries": arguments.queries,
        "query_tokens": arguments.query_tokens,
        "threads": arguments.threads,
        "left_out": arguments.without,
        "cores": os.cpu_count(),
        "load_average": [round(load, 1) for load in os.getloadavg()],
        "kernel_lanes": compiled.lanes if compiled else 0,
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "gpu": "none",
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=2000)
    parser.add_argument("--tokens", type=int, default=700)
    parser.add_argument("--queries", type=int, default=25)
    parser.add_argument("--query-tokens", type=int, default=24)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--without", nargs="*", default=[])
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
