"""A running application over a real library with the colour encoder: no model is loaded."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pymupdf
import pytest
from starlette.testclient import TestClient

from library.library import Library
from library.settings import Settings
from service.app import create
from service.settings import ServiceSettings

COLOURS = {"red": (1, 0, 0), "green": (0, 0.6, 0), "blue": (0, 0, 1), "yellow": (1, 1, 0), "white": (1, 1, 1)}
WITHOUT_MODELS = Settings(encoder="colour", reranker="none", arms=("visual", "lexical"), workers=1, dpi=50)


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


def upload(client: TestClient, files: dict[str, bytes], *, collection: str = "demo") -> dict:
    """Upload files and wait for their job."""
    parts = [("files", (name, data, "application/pdf")) for name, data in files.items()]
    answer = client.post(f"/v1/collections/{collection}/documents", files=parts)
    assert answer.status_code == 202, answer.text
    job = answer.json()["job_id"]
    with client.stream("GET", f"/v1/jobs/{job}/events") as events:
        assert any(line == "event: end" for line in events.iter_lines())
    return answer.json()


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with Library.open(tmp_path / "library", WITHOUT_MODELS) as opened:
        yield opened


@pytest.fixture
def serve(library: Library) -> Iterator[Callable[..., TestClient]]:
    """Starts an application over the library; its settings may be given."""
    clients: list[TestClient] = []

    def start(**settings: object) -> TestClient:
        chosen = ServiceSettings(**settings)  # type: ignore[arg-type]
        client = TestClient(create(library, chosen), base_url="http://localhost")
        client.__enter__()
        clients.append(client)
        return client

    yield start
    for client in clients:
        client.__exit__(None, None, None)


@pytest.fixture
def client(serve: Callable[..., TestClient]) -> TestClient:
    return serve()
