"""How a document begins goes with each of its pages to the reranker."""

from pathlib import Path

import pymupdf
import pytest

from domain.page import page_id
from library.contents import opening
from library.library import Library

WORDS = " ".join(f"word{number}" for number in range(25))


@pytest.mark.parametrize(
    ("begins", "page", "expected"),
    [
        (["salmon " + WORDS], 3, "salmon"),
        (["", "salmon " + WORDS], 4, "salmon"),
        (["", "a few words", "salmon " + WORDS], 5, "salmon"),
        (["", "", "", "salmon " + WORDS], 5, ""),
        (["salmon " + WORDS], 1, "salmon"),
        (["", "salmon " + WORDS], 2, "salmon"),
        (["", "salmon " + WORDS], 1, ""),
    ],
)
def test_it_is_the_text_of_the_first_page_that_says_something(
    library: Library, tmp_path: Path, begins: list[str], page: int, expected: str
) -> None:
    path = tmp_path / "report.pdf"
    with pymupdf.open() as document:
        for text in [*begins, "herring " + WORDS, "eels " + WORDS]:
            document.new_page(width=2000, height=100).insert_text((20, 50), text)
        while len(document) < 6:
            document.new_page(width=2000, height=100).insert_text((20, 50), "pike " + WORDS)
        document.save(path)
    library.index([path])
    row = library._stores.catalog.page(page_id(library.documents()[0].id, page))
    assert opening(library._stores, row).split(" ")[0] == expected
