"""A document's own table of contents leads searches to its parts."""

from dataclasses import replace
from pathlib import Path

import pymupdf
import pytest

from library.library import Library
from library.settings import Settings

SETTINGS = Settings(encoder="colour", reranker="none", arms=("lexical",), workers=1, ocr=False)
PARTS = {"Safety first": 3, "Tent poles": 4, "Care of ropes": 5, "Sea repairs": 6, "Spare parts": 7}


@pytest.fixture
def manual(tmp_path: Path) -> Path:
    """A table of contents, then parts that do not repeat their titles' words as often as it and other pages do."""
    path = tmp_path / "manual.pdf"
    with pymupdf.open() as document:
        for number in range(1, 10):
            page = document.new_page(width=300, height=400)
            if number == 2:
                for row, (title, at) in enumerate(PARTS.items()):
                    page.insert_text((20, 60 + 20 * row), f"{title} ........ {at}")
            named = [title for title, at in PARTS.items() if at == number]
            page.insert_text((20, 200), f"{named[0] if named else 'ropes, care, ropes'}: what one does")
            page.insert_text((140, 390), str(number))
        document.save(path)
    return path


def test_the_part_is_found_and_not_the_table_that_lists_it(manual: Path, tmp_path: Path) -> None:
    asked = "care of ropes"
    with Library.open(tmp_path / "library", SETTINGS) as library:
        library.index([manual])
        assert library.documents()[0].outline.parts == tuple((page, title) for title, page in PARTS.items())
        hits = library.search(asked).hits
        assert hits[0].page == 5
        assert "outline" in [mark.stage for mark in hits[0].stages]
        assert 2 in [hit.page for hit in library.search("which sections are listed?  safety, ropes").hits]
    with Library.open(tmp_path / "library", replace(SETTINGS, outlines=False)) as library:
        assert library.search(asked).hits[0].page != 5
