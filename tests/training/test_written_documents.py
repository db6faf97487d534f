"""Documents written for training become PDFs of as many pages."""

from pathlib import Path

import pymupdf
import pytest

from domain.errors import UsageError
from training.written_documents import print_documents

HEAD = "<!-- kind: deck; size: 720x540; font: sans-serif; size_pt: 18 -->\n"


def test_each_section_is_a_page_of_the_size_that_the_document_says(tmp_path: Path) -> None:
    full = "<p>" + "many words on this page " * 400 + "</p>"
    table = "<h1>Herring</h1><table class='chart'><tr><td>north</td><td>41%</td></tr></table>"
    (tmp_path / "deck_fish.html").write_text(HEAD + f"<section>{table}</section>\n<section>{full}</section>")
    (path,) = print_documents(tmp_path, tmp_path / "out")
    assert path.name == "deck_fish.pdf"
    with pymupdf.open(path) as document:
        assert [tuple(page.rect) for page in document] == [(0, 0, 720, 540)] * 2
        assert document[0].get_text().split() == ["Herring", "north", "41%"]
        assert len(document[1].get_text().split()) == 2000


@pytest.mark.parametrize("text", ["<section>no size</section>", HEAD + "no page"])
def test_a_document_without_size_or_pages_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "deck_fish.html").write_text(text)
    with pytest.raises(UsageError, match=r"deck_fish\.html"):
        print_documents(tmp_path, tmp_path / "out")
