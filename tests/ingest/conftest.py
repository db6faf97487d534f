from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.limits import MEBIBYTE, Limits
from ingest.render import Renderer

TIGHT = Limits(page_cpu_s=1, page_timeout_s=20, open_timeout_s=20, memory_bytes=448 * MEBIBYTE)


@pytest.fixture(scope="session")
def renderer() -> Iterator[Renderer]:
    with Renderer(Limits(), workers=2) as warm:
        yield warm


@pytest.fixture(scope="session")
def tight() -> Iterator[Renderer]:
    """A renderer whose pages may cost little, so that bombs go off soon."""
    with Renderer(TIGHT, workers=1) as warm:
        yield warm


@pytest.fixture
def saved(tmp_path: Path):
    def save(data: bytes, name: str = "document.pdf") -> Path:
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return save
