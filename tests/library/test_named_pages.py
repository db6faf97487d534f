"""Questions that name a page by its number find it: by what is printed on it, and by its place."""

import sqlite3
from pathlib import Path

import pymupdf
import pytest

from library.library import Library
from library.numbering import extents, searchable
from library.settings import Settings

SETTINGS = Settings(encoder="colour", reranker="none", arms=("lexical",), workers=1, ocr=False)
TOPICS = ["title", "foreword", "apples", "pears", "plums", "quinces", "cherries", "medlars"]


@pytest.fixture
def fruit(tmp_path: Path) -> Path:
    """Eight pages, the third of which is printed as page 1; each says what it is about, all speak of fruit."""
    path = tmp_path / "fruit.pdf"
    with pymupdf.open() as document:
        for place, topic in enumerate(TOPICS, start=1):
            page = document.new_page(width=300, height=400)
            page.insert_text((20, 200), f"fruit: {topic}")
            if place > 2:
                page.insert_text((140, 390), str(place - 2))
        document.save(path)
    return path


def found(library: Library, text: str) -> list[int]:
    return [hit.page for hit in library.search(text).hits]


def test_a_page_is_found_by_the_number_on_it_first_and_by_its_place_second(
    fruit: Path, tmp_path: Path
) -> None:
    with Library.open(tmp_path / "library", SETTINGS) as library:
        library.index([fruit])
        assert found(library, "which fruit is on page 4?")[:2] == [6, 4]
        assert found(library, "fruit on the last page")[0] == 8
        assert found(library, "fruit on page 77") == found(library, "fruit")
        hits = library.search("which fruit is on page 4?").hits
        assert [hit.printed for hit in hits[:2]] == [4, 2]
        assert hits[0].stages[-1].stage == "named"
        document = library.documents()[0]
        assert document.extent.before == 2
        assert [page.printed for page in library.pages(document.id)] == [None, None, 1, 2, 3, 4, 5, 6]


def test_a_page_that_shares_no_word_with_the_question_is_found_with_its_document(
    fruit: Path, tmp_path: Path
) -> None:
    with Library.open(tmp_path / "library", SETTINGS) as library:
        library.index([fruit])
        assert found(library, "quinces on page 1") == [3, 6, 1]


def test_pages_that_are_not_ready_do_not_enter(fruit: Path, tmp_path: Path) -> None:
    with pymupdf.open(fruit) as document:
        document.new_page()  # blank
        document.save(tmp_path / "more.pdf")
    with Library.open(tmp_path / "library", SETTINGS) as library:
        library.index([tmp_path / "more.pdf"])
        name = library.documents()[0].id
        assert found(library, "quinces on the last page") == [6]
        catalog = library._stores.catalog
        asked = [f"{name}/0001", f"{name}/0009", f"{name}/0099", "nobody/0001"]
        assert searchable(catalog, asked) == {f"{name}/0001"}
        assert list(extents(catalog, [name, "nobody"])) == [name]


def test_a_library_of_an_earlier_recto_is_taken_up_and_numbered_by_a_repair(
    fruit: Path, tmp_path: Path
) -> None:
    with Library.open(tmp_path / "library", SETTINGS) as library:
        library.index([fruit])
    with sqlite3.connect(tmp_path / "library" / "catalog.sqlite") as catalog:
        catalog.execute("ALTER TABLE documents DROP COLUMN before_one")
        catalog.execute("ALTER TABLE documents DROP COLUMN outline")
        catalog.execute("ALTER TABLE pages DROP COLUMN wordless")
        catalog.execute("UPDATE alembic_version SET version_num = '0001'")
    with Library.open(tmp_path / "library", SETTINGS) as library:
        assert library.documents()[0].extent.before is None
        assert found(library, "which fruit is on page 4?")[0] == 4
        assert library.verify(repair=True).damaged == ()
        assert library.documents()[0].extent.before == 2
