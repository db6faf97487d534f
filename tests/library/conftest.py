from collections.abc import Iterator
from pathlib import Path

import pytest

from library.library import Library
from library.settings import Settings
from tests.pdfs import Sheet, write_pdf

SETTINGS = Settings(encoder="colour", reranker="none", arms=("visual", "lexical"), batch_pages=2, workers=1)


@pytest.fixture
def settings() -> Settings:
    return SETTINGS


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with Library.open(tmp_path / "library", SETTINGS) as opened:
        yield opened


@pytest.fixture
def rainbow(tmp_path: Path) -> Path:
    sheets = [
        Sheet("red", "the annual report of the brick works"),
        Sheet("green", "a walk in the forest of Epping"),
        Sheet("blue", "tide tables for code AX-77/12"),
        Sheet(),
        Sheet("yellow", "prices of sunflower oil"),
    ]
    return write_pdf(tmp_path / "in" / "rainbow.pdf", sheets)
