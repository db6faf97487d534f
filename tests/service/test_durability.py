"""A killed service loses nothing that it acknowledged and shows nothing by half."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from domain.errors import EngineError, NotFoundError
from recto.client import Client
from tests.service.samples import pdf

pytestmark = [pytest.mark.service, pytest.mark.slow]
ROOT = Path(__file__).parents[2]
PAGES = 60


@contextmanager
def service(directory: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A service in a process of its own, once it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tests.service.serving", str(directory), str(port)]
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    process = subprocess.Popen(
        command, cwd=ROOT, env=kept, stderr=subprocess.DEVNULL
    )  # later starts are quick
    url = f"http://127.0.0.1:{port}"
    try:
        while not _answers(url):
            assert process.poll() is None
            time.sleep(0.1)
        yield process, url
    finally:
        process.kill()
        process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz").status_code == 200
    except httpx.TransportError:
        return False


def test_a_kill_during_upload_ingest_and_deletion_loses_nothing_acknowledged(tmp_path: Path) -> None:
    library, path, doomed = tmp_path / "library", tmp_path / "long.pdf", tmp_path / "doomed.pdf"
    path.write_bytes(pdf(*[("blue", f"page {n}") for n in range(PAGES)]))
    doomed.write_bytes(pdf(*[("red", f"doomed {n}") for n in range(3)]))
    with service(library) as (process, url), Client(url, timeout_s=500) as client:
        first = client.upload([doomed])
        client.wait(first.job_id)
        job = client.upload([path]).job_id
        step = next(step for step in client.follow(job) if step["event"] == "progress")
        assert 0 < step["pages_done"] < PAGES
        half_sent = socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])))
        half_sent.sendall(_half_an_upload())
        while not list((library / "uploads").iterdir()):
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
        half_sent.close()
    with service(library) as (process, url), Client(url, timeout_s=500) as client:
        assert client.wait(job).status == "done"
        documents = {d.name: d for d in client.documents("default")}
        assert set(documents) == {"long.pdf", "doomed.pdf"}
        assert documents["long.pdf"].states == {"ready": PAGES}
        assert len(client.search("blue", k=100, document="long").hits) == PAGES
        assert list((library / "uploads").iterdir()) == []
        gone = documents["doomed.pdf"].id
        client.remove(gone)
        process.send_signal(signal.SIGKILL)
        process.wait()
    with service(library) as (_, url), Client(url, timeout_s=500) as client:
        with pytest.raises(NotFoundError):
            client.document(gone)
        assert {hit.document for hit in client.search("red", k=100).hits} == {"long"}


def test_a_service_that_is_told_to_stop_ends_its_streams_and_goes_on_next_time(tmp_path: Path) -> None:
    path = tmp_path / "long.pdf"
    path.write_bytes(pdf(*[("blue", f"page {n}") for n in range(PAGES)]))
    with service(tmp_path / "library") as (process, url), Client(url, timeout_s=500) as client:
        job = client.upload([path]).job_id
        steps = client.follow(job)
        next(steps)
        process.send_signal(signal.SIGTERM)
        assert process.wait(500) in {0, -signal.SIGTERM}
        steps.close()
    with service(tmp_path / "library") as (_, url), Client(url, timeout_s=500) as client:
        assert client.wait(job).pages_done == PAGES


def test_a_client_says_that_nobody_answers() -> None:
    with Client("http://127.0.0.1:9") as client, pytest.raises(EngineError, match="no answer"):
        client.collections()


def _half_an_upload() -> bytes:
    head = b'--b\r\nContent-Disposition: form-data; name="files"; filename="half.pdf"\r\n\r\n%PDF-1.7 '
    lines = b"POST /v1/collections/default/documents HTTP/1.1\r\nHost: localhost\r\n"
    kind = b"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 100000\r\n\r\n"
    return lines + kind + head + b"x" * 5000
