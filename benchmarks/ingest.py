"""Pages per second and peak memory of render + text + store, beside plain renderers, on real PDFs.

    .venv/bin/python -m benchmarks.ingest FOLDER_OF_PDFS

A round runs every contender once over the same pages, so that a busy machine slows all of them; the ratio is
taken within a round and its median over the rounds is reported.
"""

import argparse
import json
import multiprocessing
import os
import platform
import resource
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Self

import pdf2image
import pypdfium2

from ingest.images import ImageStore
from ingest.limits import Limits
from ingest.render import Rendered, Renderer

RESULTS = Path(__file__).parent / "results" / "ingest.json"
DPI = 150


@dataclass(frozen=True)
class Part:
    """Some pages, counted from 1, of one document."""

    path: str
    numbers: tuple[int, ...]


@dataclass(frozen=True)
class Figures:
    """Of every round: pages per second, processor milliseconds a page, peak bytes of ours."""

    rates: list[dict[str, float]]
    work_ms: list[dict[str, float]]
    memory: list[int]


def main() -> None:
    arguments = _arguments()
    parts = choose(arguments.folder, arguments.pages)
    count = sum(len(part.numbers) for part in parts)
    print(f"{count} pages of {len(parts)} documents, {arguments.rounds} rounds")
    contenders: dict[str, Callable[[Sequence[Part]], float]] = {
        "recto": recto,
        "pypdfium2": lambda parts: plain(_pdfium, parts, 1),
        "pypdfium2_two_processes": lambda parts: plain(_pdfium, parts, 2),
        "pdf2image": lambda parts: plain(_pdf2image, parts, 1),
    }
    memory: list[int] = []
    rounds: list[dict[str, float]] = []
    work: list[dict[str, float]] = []
    for index in range(arguments.rounds):
        rates, spent = {}, {}
        for name in sorted(contenders, reverse=index % 2 == 1):
            before = _cpu_s()
            with Watch() as watch:
                seconds = contenders[name](parts)
            rates[name] = count / seconds
            spent[name] = 1000 * (_cpu_s() - before) / count
            if name == "recto":
                memory.append(watch.peak_bytes)
        rounds.append(rates)
        work.append(spent)
        print(
            "  ".join(f"{name} {rate:.1f}/s ({spent[name]:.1f} ms)" for name, rate in sorted(rates.items()))
        )
    report = _report(arguments, parts, Figures(rounds, work, memory))
    RESULTS.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report["summary"], indent=2))


def choose(folder: Path, wanted: int) -> list[Part]:
    """Runs of 25 pages from the middle of as many documents as it takes."""
    parts: list[Part] = []
    for path in sorted(folder.glob("*.pdf")):
        pages = len(pypdfium2.PdfDocument(path))
        take = min(25, pages, wanted - sum(len(part.numbers) for part in parts))
        first = (pages - take) // 2 + 1
        if take > 0:
            parts.append(Part(str(path), tuple(range(first, first + take))))
    return parts


def recto(parts: Sequence[Part]) -> float:
    """Seconds to render, read and store; the workers are warm, as they are in a library."""
    with tempfile.TemporaryDirectory() as folder, Renderer(Limits(dpi=DPI), workers=2) as renderer:
        store = ImageStore.open(folder)
        for part in parts[:2]:
            list(renderer.pages(Path(part.path), part.numbers[:2]))
        start = time.perf_counter()
        for part in parts:
            for page in renderer.pages(Path(part.path), part.numbers):
                if not isinstance(page, Rendered):
                    raise SystemExit(f"a page failed: {page}")
                store.put(page.image, page.media_type)
                store.put(page.layer, "application/zlib")
        return time.perf_counter() - start


def plain(work: Callable[[Part], int], parts: Sequence[Part], processes: int) -> float:
    """Seconds for a renderer alone, into pictures in memory that nobody keeps; starting it is not counted."""
    if processes == 1:
        start = time.perf_counter()
        done = sum(work(part) for part in parts)
    else:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(processes, mp_context=context) as pool:
            list(pool.map(work, [Part(part.path, part.numbers[:1]) for part in parts[:processes]]))
            start = time.perf_counter()
            done = sum(pool.map(work, parts))
    seconds = time.perf_counter() - start
    if done != sum(len(part.numbers) for part in parts):
        raise SystemExit(f"only {done} pages were rendered")
    return seconds


def _pdfium(part: Part) -> int:
    document = pypdfium2.PdfDocument(part.path)
    for number in part.numbers:
        document[number - 1].render(scale=DPI / 72).to_pil()
    return len(part.numbers)


def _pdf2image(part: Part) -> int:
    numbers = part.numbers
    return len(pdf2image.convert_from_path(part.path, dpi=DPI, first_page=numbers[0], last_page=numbers[-1]))


class Watch:
    """Samples the resident memory of this process and all its descendants, shared pages counted each time."""

    def __init__(self) -> None:
        self.peak_bytes = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.1):
            self.peak_bytes = max(self.peak_bytes, sum(map(_resident, _family(os.getpid()))))


def _family(pid: int) -> list[int]:
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = task.read_text().split()
        except OSError:
            continue  # the thread ended meanwhile
        for child in children:
            found += _family(int(child))
    return found


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0  # the process ended meanwhile


def _cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _report(arguments: argparse.Namespace, parts: list[Part], figures: Figures) -> dict[str, object]:
    rounds = figures.rates
    single = ("pypdfium2", "pdf2image")
    ratio = statistics.median(one["recto"] / max(one[name] for name in single) for one in rounds)
    two = statistics.median(one["recto"] / one["pypdfium2_two_processes"] for one in rounds)
    return {
        "summary": {
            "pages": sum(len(part.numbers) for part in parts),
            "pages_per_second": _medians(rounds),
            "cpu_ms_per_page": _medians(figures.work_ms),
            "of_fastest_plain_renderer": round(ratio, 3),
            "of_pypdfium2_in_two_processes": round(two, 3),
            "peak_megabytes": round(max(figures.memory) / 1e6),
        },
        "rounds": [{name: round(rate, 1) for name, rate in one.items()} for one in rounds],
        "documents": [{**asdict(part), "path": Path(part.path).name} for part in parts],
        "provenance": provenance(),
        "command": f"python -m benchmarks.ingest {arguments.folder.name} --rounds {arguments.rounds}",
    }


def _medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {name: round(statistics.median(one[name] for one in rounds), 1) for name in sorted(rounds[0])}


def provenance() -> dict[str, object]:
    """Commit, hardware and versions."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    model = next(
        line.split(":")[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    )
    return {
        "commit": commit.stdout.strip(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "cpu": model,
        "cores": os.cpu_count(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "python": platform.python_version(),
        "versions": {
            name: version(name) for name in ("pymupdf", "pypdfium2", "pdf2image", "pillow", "obstore")
        },
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="folder of PDFs")
    parser.add_argument("--pages", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


if __name__ == "__main__":
    main()
