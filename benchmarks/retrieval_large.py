"""Our engine alone, large: time to open, to take in a thousand more pages, and to answer.

    .venv/bin/python -m benchmarks.retrieval_large --pages 100000 --threads 2
    .venv/bin/python -m benchmarks.retrieval_large --pages 1000000 --tokens 700 --device cuda --hot-gib 110
    .venv/bin/python -m benchmarks.retrieval_large --pages 40000 --threads 2 --real ../shared/data/financebench_dev

Made-up or real pages are copied with noise to the number wanted, so that each has many near-ties; vectors are written
as they are made and memory stays flat. Recall is measured against the comparison of everything in bytes.
"""

import argparse
import dataclasses
import tempfile
import threading
import time
from itertools import chain, islice
from pathlib import Path

import faiss
import numpy as np
import torch

from benchmarks.retrieval import MADE_BY, keep, machine
from benchmarks.retrieval_data import DIM, made_up, multiplied, real
from domain.page import page_id
from retrieve.encoder import Floats, Vectors
from retrieve.engine import Engine
from retrieve.engine_options import EngineOptions

BATCH = 1000
BASE = 5000
QUERY_TOKENS = 24
TOGETHER = 64


def main() -> None:
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    faiss.omp_set_num_threads(arguments.threads)
    options = EngineOptions(device=arguments.device, hot_bytes=int(arguments.hot_gib * 2**30))
    if arguments.folder:
        arguments.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        seen: list[int] = []
        threading.Thread(target=_watch, args=[seen], daemon=True).start()
        found = measured(Path(name), arguments, options)
        found["own_memory_gib"] = round(max(seen) / 2**30, 2)
    run = {"provenance": provenance(arguments), "figures": [found]}
    where = "" if arguments.device == "cpu" else f"_{arguments.device}"
    keep(f"large_{'real_' if arguments.real else ''}{arguments.pages}{where}", run)
    print(run)


def measured(folder: Path, arguments: argparse.Namespace, options: EngineOptions) -> dict[str, object]:
    """Build, open, add and ask; one figure a line."""
    base, queries = pages_and_queries(arguments)
    source = multiplied(base)
    start = time.perf_counter()
    engine = opened(folder, options)
    for first in range(0, arguments.pages, BATCH):
        engine.add(named(first), [Vectors(page) for page in islice(source, BATCH)])
    written = time.perf_counter() - start
    print(f"written in {written:.0f} s", flush=True)
    engine.settle()
    built = time.perf_counter() - start
    print(f"built in {built:.0f} s", flush=True)
    size = engine.size()
    engine.close()
    del engine
    start = time.perf_counter()
    engine = opened(folder, options)
    opening = time.perf_counter() - start
    more = [Vectors(page) for page in islice(source, BATCH)]
    start = time.perf_counter()
    engine.add(named(arguments.pages), more)
    first = engine.search(more[7], k=1)[0].page
    adding = time.perf_counter() - start
    engine.settle()
    taken_in = time.perf_counter() - start
    start = time.perf_counter()
    engine.add(named(arguments.pages + BATCH)[:1], more[:1])
    one = time.perf_counter() - start
    engine.close()
    del engine
    if first != named(arguments.pages)[7]:
        raise RuntimeError(f"the page just added was not found, but {first}")
    return {
        "write_s": round(written, 1),
        "build_s": round(built, 1),
        "open_s": round(opening, 2),
        "add_1000_and_find_s": round(adding, 2),
        "add_1000_and_settle_s": round(taken_in, 2),
        "add_1_ms": round(one * 1e3, 1),
        "disk_bytes_a_page": size.disk_bytes // arguments.pages,
        "memory_bytes_a_page": size.memory_bytes // arguments.pages,
        **asked(folder, queries, options),
    }


def pages_and_queries(arguments: argparse.Namespace) -> tuple[list[Floats], list[Floats]]:
    """What is copied, and what is asked for."""
    if not arguments.real:
        made = made_up(BASE, arguments.tokens, queries=arguments.queries, query_tokens=QUERY_TOKENS)
        return list(made[0]), list(made[1])
    pages, queries = zip(*(real(folder, queries=arguments.queries) for folder in arguments.real), strict=True)
    return list(chain.from_iterable(pages)), list(chain.from_iterable(queries))


def asked(folder: Path, queries: list[Floats], options: EngineOptions) -> dict[str, object]:
    """Milliseconds and recall; every query is asked twice and the second time counts."""
    bests = best_of_all(folder, queries, options)
    engine = Engine.open(folder / "engine", fingerprint=MADE_BY, dim=DIM, options=options)
    wall, work, ten, hundred = [], [], [], []
    for rows, best in zip(queries, bests, strict=True):
        query = Vectors(rows)
        engine.search(query, k=100)
        start, worked = time.perf_counter(), time.process_time()
        found = [hit.page for hit in engine.search(query, k=100)]
        wall.append((time.perf_counter() - start) * 1e3)
        work.append((time.process_time() - worked) * 1e3)
        ten.append(len(set(best[:10]) & set(found[:10])) / 10)
        hundred.append(len(set(best) & set(found)) / 100)
    tenth = frozenset(f"d{number}" for number in range(0, len(engine) // BATCH, 10))
    filtered = []
    for query in queries:
        start = time.perf_counter()
        engine.search(Vectors(query), k=100, within=tenth)
        filtered.append((time.perf_counter() - start) * 1e3)
    many = [Vectors(queries[at % len(queries)]) for at in range(TOGETHER)]
    start = time.perf_counter()
    for query in many:
        engine.search(query, k=100)
    in_turn = (time.perf_counter() - start) * 1e3
    start = time.perf_counter()
    engine.search_many(many, k=100)
    together = (time.perf_counter() - start) * 1e3
    return {
        "recall_at_10": round(float(np.mean(ten)), 3),
        "recall_at_100": round(float(np.mean(hundred)), 3),
        "wall_ms_p50": round(float(np.percentile(wall, 50)), 1),
        "wall_ms_p95": round(float(np.percentile(wall, 95)), 1),
        "wall_ms_p50_in_a_tenth": round(float(np.percentile(filtered, 50)), 1),
        "processor_ms_p50": round(float(np.percentile(work, 50)), 1),
        f"wall_ms_of_{TOGETHER}": round(in_turn, 1),
        f"wall_ms_of_{TOGETHER}_at_once": round(together, 1),
    }


def best_of_all(folder: Path, queries: list[Floats], options: EngineOptions) -> list[list[str]]:
    """The hundred best pages of each query by the comparison of everything."""
    everything = dataclasses.replace(options, exact_rows=10**12)
    exact = Engine.open(folder / "engine", fingerprint=MADE_BY, dim=DIM, options=everything)
    found = [[hit.page for hit in exact.search(Vectors(query), k=100)] for query in queries]
    exact.close()
    return found


def opened(folder: Path, options: EngineOptions) -> Engine:
    """The engine, for writing."""
    return Engine.open(folder / "engine", fingerprint=MADE_BY, dim=DIM, options=options, writable=True)


def _watch(seen: list[int]) -> None:
    """Note the bytes of this process that are no mapped files, ten times a second."""
    while True:
        (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if "RssAnon" in line)
        seen.append(int(line.split()[1]) * 2**10)
        time.sleep(0.1)


def named(first: int) -> list[str]:
    """The names of a batch of pages."""
    return [page_id(f"d{first // BATCH}", at + 1) for at in range(BATCH)]


def provenance(arguments: argparse.Namespace) -> dict[str, object]:
    """What was measured, where and with what."""
    return {
        "pages": arguments.pages,
        "data": [folder.name for folder in arguments.real] or "made up",
        "tokens_a_page": None if arguments.real else arguments.tokens,
        "queries": arguments.queries,
        "query_tokens": None if arguments.real else QUERY_TOKENS,
        "threads": arguments.threads,
        **machine(),
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=100_000)
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--queries", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--hot-gib", type=float, default=0.0, help="memory on the device for hot pages")
    parser.add_argument(
        "--real",
        type=Path,
        nargs="*",
        default=[],
        help="folders of one's own questions, in place of made-up pages",
    )
    parser.add_argument("--folder", type=Path, help="where the files lie meanwhile")
    return parser.parse_args()


if __name__ == "__main__":
    main()
