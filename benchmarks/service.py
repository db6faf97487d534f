"""Requests a second and latencies of `/v1/search` at several numbers of clients, idle and while indexing.

    .venv/bin/python -m benchmarks.service FOLDER_OF_PDFS [--parts upload,idle,indexing,flat] [--library DIR]

The service runs in a process of its own with the settings that were chosen; clients are coroutines here. Every
answer is checked, so that an error is counted and not timed. Uploading the folder is timed beside `recto index`.
Parts may be measured one after another over one library directory: each replaces its own figures. `flat` sends many
searches of the first stage and compares the service's memory before and after.
"""

import argparse
import asyncio
import contextlib
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path

import httpx

from domain.errors import RectoError
from library.library import Library
from library.settings import Settings
from recto.client import Client
from service.main import serve
from service.settings import ServiceSettings

RESULTS = Path(__file__).parent / "results" / "service.json"
PARTS = ("upload", "idle", "indexing", "flat")
WORDS = (
    "revenue",
    "risk",
    "table of contents",
    "total assets",
    "safety",
    "signature",
    "fiscal year",
    "summary",
)


@dataclass(frozen=True)
class Load:
    """What one load did: requests a second, milliseconds, errors, and the service's memory around it."""

    clients: int
    state: str
    rerank: str
    requests: int
    errors: int
    per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    memory_before_mb: float
    memory_after_mb: float


def main() -> None:
    asked = _arguments()
    if asked.serve is not None:
        _serve(asked)
        return
    files = sorted(asked.folder.glob("*.pdf"))[: asked.documents]
    with tempfile.TemporaryDirectory() as folder:
        alone = _command_line(asked, files, Path(folder) / "alone") if "upload" in asked.parts else 0.0
        place = asked.library or Path(folder) / "served"
        with _service(asked, place) as (process, url), Client(url, timeout_s=600) as client:
            uploaded = _upload(client, files)
            if "upload" in asked.parts:
                _write(asked, files, {"upload": {"command line": alone, "service": uploaded}})
            for part, loads in _loads(asked, url, process.pid, client=client, files=files):
                _write(asked, files, {part: [asdict(load) for load in loads]})


def _loads(
    asked: argparse.Namespace, url: str, pid: int, *, client: Client, files: list[Path]
) -> Iterator[tuple[str, list[Load]]]:
    """Each part's loads as soon as they are measured, so that a run that is cut off keeps what it has."""
    if "idle" in asked.parts:
        yield "idle", [_load(url, pid, asked, clients=count, state="idle") for count in asked.clients]
    if "indexing" in asked.parts:
        yield "indexing", [_during(asked, url, pid, client, files, count) for count in asked.clients]
    if "flat" in asked.parts:
        _load(url, pid, asked, clients=8, state="warm-up", rerank="off")
        yield "flat", [_load(url, pid, asked, clients=8, state="flat", rerank="off", requests=asked.flat)]


def _during(
    asked: argparse.Namespace, url: str, pid: int, client: Client, files: list[Path], count: int
) -> Load:
    """A load while documents are read; it says so where the reading ended before the load did."""
    job = client.upload(files, collection=f"during-{count}").job_id
    load = _load(url, pid, asked, clients=count, state="indexing")
    if client.job(job).status not in ("queued", "running"):
        load = replace(load, state="indexing, in part")
    client.cancel(job)
    with contextlib.suppress(RectoError):
        client.empty(f"during-{count}")
    return load


def _load(  # noqa: PLR0913
    url: str,
    pid: int,
    asked: argparse.Namespace,
    *,
    clients: int,
    state: str,
    rerank: str = "",
    requests: int = 0,
) -> Load:
    total, before = requests or asked.requests, _memory_mb(pid)
    started = time.perf_counter()
    took, errors = asyncio.run(_ask(url, clients, total, rerank or asked.rerank))
    seconds = time.perf_counter() - started
    cuts = statistics.quantiles(took, n=100) if len(took) > 1 else [0.0] * 99
    load = Load(
        clients=clients,
        state=state,
        rerank=rerank or asked.rerank,
        requests=total,
        errors=errors,
        per_second=round(len(took) / seconds, 1),
        p50_ms=round(cuts[49], 1),
        p95_ms=round(cuts[94], 1),
        p99_ms=round(cuts[98], 1),
        memory_before_mb=before,
        memory_after_mb=_memory_mb(pid),
    )
    print(load)
    return load


async def _ask(url: str, clients: int, total: int, rerank: str) -> tuple[list[float], int]:
    numbers = iter(range(total))
    took: list[float] = []
    errors = 0

    async def one(http: httpx.AsyncClient) -> None:
        nonlocal errors
        for number in numbers:
            query = f"{WORDS[number % len(WORDS)]} {number % 97}"
            start = time.perf_counter()
            answer = await http.post("/v1/search", json={"query": query, "k": 10, "rerank": rerank})
            if answer.status_code == 200 and answer.json()["hits"]:
                took.append((time.perf_counter() - start) * 1000)
            else:
                errors += 1

    async with httpx.AsyncClient(base_url=url, timeout=120) as http:
        await asyncio.gather(*(one(http) for _ in range(clients)))
    return took, errors


def _upload(client: Client, files: list[Path]) -> float:
    started = time.perf_counter()
    job = client.wait(client.upload(files, collection="main").job_id)
    return round(job.pages_done / (time.perf_counter() - started), 2)


def _command_line(asked: argparse.Namespace, files: list[Path], directory: Path) -> float:
    with Library.open(directory, _settings(asked)) as library:
        _ = library.encoder, library.reranker  # loading is not what is compared
        started = time.perf_counter()
        report = library.index(files)
        return round(report.pages / (time.perf_counter() - started), 2)


@contextmanager
def _service(asked: argparse.Namespace, directory: Path) -> Iterator[tuple["subprocess.Popen[bytes]", str]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--encoder", asked.encoder, "--reranker", asked.reranker, "--arms", asked.arms]
    command = [sys.executable, "-m", "benchmarks.service", str(directory), "--serve", str(port), *options]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        while not _ready(url):
            if process.poll() is not None:
                raise SystemExit("the service did not start")
            time.sleep(0.2)
        yield process, url
    finally:
        process.terminate()
        process.wait(60)


def _ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz").status_code == 200
    except httpx.TransportError:
        return False


def _serve(asked: argparse.Namespace) -> None:
    with Library.open(asked.folder, _settings(asked)) as library:
        serve(library, ServiceSettings(port=asked.serve, requests_per_s=0))


def _settings(asked: argparse.Namespace) -> Settings:
    return Settings(encoder=asked.encoder, reranker=asked.reranker, arms=tuple(asked.arms.split(",")))


def _memory_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return round(int(line.split()[1]) / 1024, 1)


def _write(asked: argparse.Namespace, files: list[Path], found: dict[str, object]) -> None:
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout
    before = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    facts = {
        "commit": commit.strip(),
        "settings": {"encoder": asked.encoder, "reranker": asked.reranker, "arms": asked.arms},
        "documents": len(files),
        "hardware": {"machine": platform.machine(), "cores": os.cpu_count()},
        "versions": {name: version(name) for name in ("fastapi", "uvicorn", "torch", "faiss-cpu")},
    }
    busy = {"busy": before.get("busy", {}) | {part: round(os.getloadavg()[1], 1) for part in found}}
    whole = before | facts | busy | found
    if isinstance(speeds := whole.get("upload"), dict):
        whole["upload_ratio"] = round(speeds["service"] / max(speeds["command line"], 1e-9), 3)
    whole["loads"] = [load for part in ("idle", "indexing", "flat") for load in whole.get(part, [])]
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(whole, indent=1) + "\n")
    print(f"written to {RESULTS}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="a folder of PDFs")
    parser.add_argument("--parts", type=lambda text: text.split(","), default=list(PARTS))
    parser.add_argument(
        "--library", type=Path, help="where the served library lies; default: a temporary folder"
    )
    parser.add_argument("--documents", type=int, default=10)
    parser.add_argument("--requests", type=int, default=400, help="requests of a load")
    parser.add_argument("--flat", type=int, default=10_000, help="requests of the load that watches memory")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--rerank", default="auto")
    parser.add_argument("--encoder", default="builtin")
    parser.add_argument("--reranker", default="builtin")
    parser.add_argument("--arms", default="visual,lexical,text")
    parser.add_argument("--serve", type=int, default=None, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
