"""A running application over a real library with the colour encoder: no model is loaded."""

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from starlette.testclient import TestClient

from library.library import Library
from service.app import create
from service.settings import ServiceSettings
from tests.service.samples import WITHOUT_MODELS, LatePages, pdf, upload


@pytest.fixture
def png() -> bytes:
    out = io.BytesIO()
    page = Image.new("RGB", (300, 400), "white")
    ImageDraw.Draw(page).rectangle((20, 20, 280, 380), fill=(0, 0, 255))
    page.save(out, "PNG")
    return out.getvalue()


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


@pytest.fixture(scope="session")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A running application that tests only read: two collections, and a reranker that prefers late pages."""
    settings = replace(WITHOUT_MODELS, vocabulary={"ocean": ["gamma sea"]})
    with Library.open(tmp_path_factory.mktemp("stocked") / "library", settings) as library:
        library._models._reranker = LatePages()
        with TestClient(create(library), base_url="http://localhost") as client:
            pages = (
                ("red", "alpha rose"),
                ("green", "beta grass"),
                ("blue", "gamma sea"),
                ("yellow", "delta sun"),
            )
            upload(client, {"colours.pdf": pdf(*pages, title="Four colours")})
            upload(client, {"secret.pdf": pdf(("red", "hidden rose"))}, collection="private")
            yield client
