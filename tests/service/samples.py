"""PDFs of plain colours, and an upload that waits for its job."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pymupdf
import uvicorn
from starlette.testclient import TestClient

from domain.fingerprint import Fingerprint
from domain.page import number_of
from library.library import Library
from library.settings import Settings
from rerank.reranker import Candidate
from service.app import create
from service.settings import ServiceSettings

COLOURS = {"red": (1, 0, 0), "green": (0, 0.6, 0), "blue": (0, 0, 1), "yellow": (1, 1, 0), "white": (1, 1, 1)}
WITHOUT_MODELS = Settings(
    encoder="colour", reranker="none", arms=("visual", "lexical"), blend=0.0, workers=1, dpi=50
)


def pdf(*pages: tuple[str, str], title: str = "") -> bytes:
    """A PDF of coloured pages with a line of text each."""
    document = pymupdf.open()
    for colour, text in pages:
        page = document.new_page(width=300, height=400)
        page.draw_rect(page.rect, color=COLOURS[colour], fill=COLOURS[colour])
        page.insert_text((30, 60), text, fontsize=14, color=(0, 0, 0))
    if title:
        document.set_metadata({"title": title})
    data: bytes = document.tobytes()
    document.close()
    return data


def upload(client: TestClient, files: dict[str, bytes], *, collection: str = "demo") -> dict[str, Any]:
    """Upload files and wait for their job."""
    parts = [("files", (name, data, "application/pdf")) for name, data in files.items()]
    answer = client.post(f"/v1/collections/{collection}/documents", files=parts)
    assert answer.status_code == 202, answer.text
    job = answer.json()["job_id"]
    with client.stream("GET", f"/v1/jobs/{job}/events") as events:
        assert any(line == "event: end" for line in events.iter_lines())
    found: dict[str, Any] = answer.json()
    return found


class LatePages:
    """A reranker computed by hand: a page's logit is its number."""

    name = "late-pages"
    fingerprint = Fingerprint("late-pages")

    def scores(self, query: str, candidates: Sequence[Candidate]) -> list[float]:
        return [float(number_of(candidate.page)) for candidate in candidates]


@contextmanager
def running(library: Library) -> Iterator[str]:
    """The service over a library, on a port of its own; gives its address."""
    app = create(library, ServiceSettings(requests_per_s=0))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        app.state.desk.board.close()
        server.should_exit = True
        thread.join()
