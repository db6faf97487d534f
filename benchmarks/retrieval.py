"""Recall, milliseconds and bytes of page search, beside other libraries, all in one run on the same pages.

    .venv/bin/python -m benchmarks.retrieval --pages 2000
    .venv/bin/python -m benchmarks.retrieval --pages 10000 --threads 2 --without qdrant
    .venv/bin/python -m benchmarks.retrieval --pages 10000 --threads 2 --real ../shared/data/mmdocir_dev

Every query is asked of every contender before the next one comes, so that a busy machine slows all of them, and each
finds the processor's caches full of what the others read; the ratio to compare is within this table. Recall is
measured against float32 products over everything.
`--without` leaves out peers that take long to build (fast-plaid) or to ask (qdrant). Each run is kept in the
results under its name, beside the others; `benchmarks.retrieval_large` goes on from there.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import faiss
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.retrieval_data import DIM, made_up, real, resized
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
from retrieve.engine import Engine
from retrieve.engine_options import EngineOptions
from retrieve.maxsim import Kind
from retrieve.native import kernel

RESULTS = Path(__file__).parent / "results" / "retrieval.json"
MADE_BY = Fingerprint("made-up")
PACKAGES = ("torch", "numpy", "fast-plaid", "maxsim-cpu", "qdrant-client")


def main() -> None:
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    faiss.omp_set_num_threads(arguments.threads)
    if arguments.real:
        own, queries = real(arguments.real, queries=arguments.queries)
        pages = resized(own, arguments.pages, arguments.tokens)
    else:
        pages, queries = made_up(
            arguments.pages, arguments.tokens, queries=arguments.queries, query_tokens=arguments.query_tokens
        )
    exact = truth(pages, queries)
    with tempfile.TemporaryDirectory() as folder:
        makers: dict[str, Callable[[], Contender]] = {
            "everything": lambda: engine(pages, Path(folder) / "bytes", Way("recto, everything", 10**9)),
            "float16": lambda: engine(
                pages, Path(folder) / "halves", Way("recto, everything, float16", 10**9, "float16")
            ),
            "staged": lambda: engine(pages, Path(folder) / "bytes", Way("recto", 1)),
            "staged-float16": lambda: engine(
                pages, Path(folder) / "halves", Way("recto, float16", 1, "float16")
            ),
            "fp32": lambda: brute_force(pages, torch.float32),
            "bf16": lambda: brute_force(pages, torch.bfloat16),
            "maxsim-cpu": lambda: maxsim(pages),
            "mean": lambda: single_vector(pages),
            "muvera": lambda: muvera(pages),
            "fast-plaid": lambda: fast_plaid(pages, Path(folder), arguments.plaid),
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
    kind = "real" if arguments.real else "made_up"
    keep(f"{kind}_{arguments.pages}", {"provenance": provenance(arguments), "contenders": rows})


def keep(name: str, run: Mapping[str, object]) -> None:
    """Put a run into the results, in place of an older one of its name."""
    runs = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    RESULTS.write_text(json.dumps({**runs, name: run}, indent=1, sort_keys=True) + "\n")


def truth(pages: Floats, queries: Sequence[Floats]) -> list[NDArray[np.float64]]:
    """The exact score of every page for each query, summed in float64."""
    own = torch.from_numpy(np.concatenate(queries)).t()
    blocks = []
    for at in range(0, len(pages), 8):
        some = torch.from_numpy(pages[at : at + 8])
        blocks.append((some.flatten(0, 1) @ own).view(len(some), -1, own.shape[1]).amax(dim=1).double())
    best = torch.cat(blocks).split([len(query) for query in queries], dim=1)
    return [part.sum(dim=1).numpy() for part in best]


@dataclass(frozen=True, slots=True)
class Way:
    """A way in which our engine answers."""

    name: str
    exact_rows: int
    stored: Kind = "int8"


def engine(pages: Floats, folder: Path, way: Way) -> Contender:
    """Our engine: everything compared, or through the first stage; two ways of one kind share their files."""
    start = time.perf_counter()
    options = EngineOptions(exact_rows=way.exact_rows, stored=way.stored)
    opened = Engine.open(folder, fingerprint=MADE_BY, dim=DIM, options=options, writable=True)
    if not len(opened):
        for first in range(0, len(pages), 250):
            some = pages[first : first + 250]
            names = [page_id("d", first + at + 1) for at in range(len(some))]
            opened.add(names, [Vectors(page) for page in some])
    opened.settle()
    seconds, size = time.perf_counter() - start, opened.size()
    opened.close()
    reader = Engine.open(folder, fingerprint=MADE_BY, dim=DIM, options=options)

    def rank(query: Floats) -> NDArray[np.int64]:
        return np.array([number_of(hit.page) - 1 for hit in reader.search(Vectors(query), k=100)])

    memory = size.memory_bytes if way.exact_rows == 1 else 0
    return Contender(way.name, rank, seconds, size.disk_bytes, memory)


def measured(
    contenders: Sequence[Contender],
    queries: Sequence[Floats],
    exact: Sequence[NDArray[np.float64]],
    *,
    pages: int,
) -> list[dict[str, object]]:
    """One row a contender, in their order; a first round of all queries warms up and is not counted.

    A store compares each page's checksum when it is first read, and maps it: once in the life of a service.
    """
    wall: dict[str, list[float]] = {one.name: [] for one in contenders}
    work: dict[str, list[float]] = {one.name: [] for one in contenders}
    recall: dict[str, list[tuple[float, float]]] = {one.name: [] for one in contenders}
    for one in contenders:
        for query in queries:
            one.rank(query)
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
            "recall_at_10": round(float(np.mean([ten for ten, _ in recall[one.name]])), 3),
            "recall_at_100": round(float(np.mean([hundred for _, hundred in recall[one.name]])), 3),
            "wall_ms_p50": round(float(np.percentile(wall[one.name], 50)), 1),
            "wall_ms_p95": round(float(np.percentile(wall[one.name], 95)), 1),
            "processor_ms_p50": None if one.apart else round(float(np.percentile(work[one.name], 50)), 1),
            "build_s": round(one.build_s, 1),
            "disk_bytes_a_page": one.disk_bytes // pages,
            "memory_bytes_a_page": one.memory_bytes // pages,
        }
        for one in contenders
    ]


def provenance(arguments: argparse.Namespace) -> dict[str, object]:
    """What was measured, where and with what."""
    return {
        "data": f"{arguments.real.name}, with noise" if arguments.real else "made up",
        "pages": arguments.pages,
        "tokens_a_page": arguments.tokens,
        "queries": arguments.queries,
        "query_tokens": None if arguments.real else arguments.query_tokens,
        "threads": arguments.threads,
        "left_out": ", ".join(arguments.without),
        **machine(),
    }


def machine() -> dict[str, object]:
    """Commit, hardware, how busy it is, and packages."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    compiled = kernel()
    return {
        "commit": commit,
        "cores": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 1),
        "kernel_lanes": compiled.lanes if compiled else 0,
        "python": platform.python_version(),
        "packages": {"faiss": faiss.__version__, **{name: version(name) for name in PACKAGES}},
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=2000)
    parser.add_argument("--tokens", type=int, default=700)
    parser.add_argument("--queries", type=int, default=25)
    parser.add_argument("--query-tokens", type=int, default=24)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--without", nargs="*", default=[])
    parser.add_argument(
        "--real", type=Path, help="a directory of one's own questions, in place of made-up pages"
    )
    parser.add_argument("--plaid", type=Path, default=Path(sys.executable), help="Python with fast-plaid")
    return parser.parse_args()


if __name__ == "__main__":
    main()
