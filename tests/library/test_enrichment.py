"""Pages are found by sight at once, and by words that their text layers lack after OCR has read them."""

import shutil

import pymupdf
import pytest
import sqlalchemy as sa
from PIL import Image, ImageDraw, ImageFont

from domain.page import page_id
from library import enrichment
from library.contents import seen
from library.library import Library
from library.options import SearchOptions
from library.settings import Settings
from library.tables import PageRow

pytestmark = pytest.mark.skipif(shutil.which("tesseract") is None, reason="tesseract is not installed")
SETTINGS = Settings(encoder="colour", reranker="none", arms=("visual", "lexical"), workers=1, ocr=True)
LEXICAL = SearchOptions(arms=("lexical",))


@pytest.fixture
def read(monkeypatch):
    """The pictures that tesseract was given."""
    pictures, true = [], enrichment.recognise
    monkeypatch.setattr(
        enrichment, "recognise", lambda image, **how: pictures.append(image) or true(image, **how)
    )
    return pictures


@pytest.fixture
def scan(tmp_path):
    """Page 1 is a picture of words, page 2 a picture without words, page 3 has a text layer."""
    picture = Image.new("RGB", (600, 400), "white")
    ImageDraw.Draw(picture).text(
        (60, 150), "turbine inspection", fill="black", font=ImageFont.load_default(48)
    )
    red = Image.new("RGB", (600, 400), "white")
    red.paste("red", (0, 0, 500, 400))
    red.save(tmp_path / "red.png")
    picture.save(tmp_path / "words.png")
    with pymupdf.open() as document:
        for name in ("words", "red"):
            document.new_page(width=300, height=200).insert_image(
                (0, 0, 300, 200), filename=tmp_path / f"{name}.png"
            )
        document.new_page(width=300, height=200).insert_text((20, 50), "a real text layer on this page")
        document.save(tmp_path / "scan.pdf")
    return tmp_path / "scan.pdf"


def test_words_of_a_scan_are_found_after_the_pass_and_each_page_is_read_once(scan, tmp_path, read) -> None:
    with Library.open(tmp_path / "library", SETTINGS) as library:
        job = library.accept([scan])
        steps = library.process(job.id)
        next(steps)
        assert library.search("turbine", LEXICAL).hits == ()
        assert len(library.search("red").hits) == 3
        assert [step.to_read for step in steps] == [0]
        hits = library.search("turbine", LEXICAL).hits
        assert [hit.page for hit in hits] == [1]
        words = library.words(hits[0].page_id)
        assert [word.text for word in words] == ["turbine", "inspection"]
        assert 0.0 < words[0].box.x0 < words[1].box.x0 < 1.0
        assert [info.has_text for info in library.pages(hits[0].document_id)] == [True, False, True]
        assert len(read) == 2
        assert list(enrichment.enrich(library._stores, job.documents, ())) == []


def test_every_step_says_how_many_pages_are_left_to_read(scan, tmp_path) -> None:
    with Library.open(tmp_path / "library", SETTINGS.changed({"batch_pages": 1})) as library:
        steps = list(library.process(library.accept([scan]).id))
    assert [(step.pages_done, step.page, step.to_read) for step in steps] == [
        (1, 1, 0), (2, 2, 0), (3, 3, 0), (3, 1, 1), (3, 2, 0)
    ]  # fmt: skip


def test_an_estimate_reads_what_indexing_would_read_and_counts_vectors_of_meaning(
    scan, tmp_path, read
) -> None:
    with Library.open(tmp_path / "both", SETTINGS) as library:
        without = library.estimate([scan])
        assert len(read) == 1, "of pages 2 and 3, which are looked at, the second has text"
        assert library.documents() == ()
    with Library.open(
        tmp_path / "meaning", SETTINGS.changed({"arms": ["visual", "lexical", "text"]})
    ) as library:
        assert library.estimate([scan]).vector_bytes > without.vector_bytes
    read.clear()
    with Library.open(tmp_path / "sight", SETTINGS.changed({"arms": ["visual"]})) as library:
        assert library.estimate([scan]).seconds > 0
    assert read == []


def test_without_the_setting_or_the_program_nothing_is_read(scan, tmp_path, monkeypatch) -> None:
    with Library.open(tmp_path / "off", Settings(**{**_plain(), "ocr": False})) as library:
        library.index([scan])
        assert library.search("turbine", LEXICAL).hits == ()
    monkeypatch.setattr(enrichment, "missing", lambda: "install tesseract")
    with Library.open(tmp_path / "absent", SETTINGS) as library:
        report = library.index([scan])
        assert report.lacks is not None
        assert "install tesseract (2 pages" in report.lacks
        assert library.search("turbine", LEXICAL).hits == ()
        assert library.search("real layer", LEXICAL).hits[0].page == 3


def test_words_are_read_later_once_the_program_is_there(scan, tmp_path) -> None:
    with Library.open(tmp_path / "library", Settings(**{**_plain(), "ocr": False})) as library:
        library.index([scan])
    with Library.open(tmp_path / "library", SETTINGS) as library:
        (document,) = library.documents()
        with library._stores.writing() as arms:
            list(enrichment.enrich(library._stores, [document.id], tuple(arms.values())))
        assert [hit.page for hit in library.search("inspection", LEXICAL).hits] == [1]
        assert library.verify().damaged == ()


def test_indexing_again_reads_what_was_left_unread_and_then_nothing(scan, tmp_path) -> None:
    with Library.open(tmp_path / "library", Settings(**{**_plain(), "ocr": False})) as library:
        library.index([scan])
        assert len(library.index([scan]).skipped) == 1
    with Library.open(tmp_path / "library", SETTINGS) as library:
        again = library.index([scan])
        assert (again.documents, again.skipped) == (1, ())
        assert [hit.page for hit in library.search("turbine", LEXICAL).hits] == [1]
        (skipped,) = library.index([scan]).skipped
        assert "same content" in skipped.reason


def _plain() -> dict:
    return {name: getattr(SETTINGS, name) for name in SETTINGS.__slots__}


def test_without_ocr_a_scan_is_found_by_the_words_that_the_encoder_makes_out(scan, tmp_path) -> None:
    settings = Settings(reranker="none", arms=("visual", "lexical"), workers=1, ocr=False)
    with Library.open(tmp_path / "library", settings) as library:
        library.index([scan])
        hits = library.search("turbine inspection", LEXICAL).hits
        assert [hit.page for hit in hits] == [1]
        assert not library.pages(hits[0].document_id)[0].has_text
        assert [hit.page for hit in library.search("real layer", LEXICAL).hits] == [3]
        library._stores.arms()["lexical"]._index.directory.joinpath("meta.json").unlink()
    with Library.open(tmp_path / "library", settings) as library:
        library.verify(repair=True)
        assert [hit.page for hit in library.search("inspection", LEXICAL).hits] == [1]
    with Library.open(tmp_path / "library", settings.changed({"ocr": True})) as library:
        library.index([scan])
        assert [word.text for word in library.words(hits[0].page_id)] == ["turbine", "inspection"]


@pytest.fixture
def pictured(tmp_path):
    """Three pages with text: a picture of words on the first, a drawing on the second, a table's rules on the third."""
    picture = Image.new("RGB", (1200, 500), "white")
    draw = ImageDraw.Draw(picture)
    for line, words in enumerate(("turbine inspection", "blade clearance", "governor overspeed")):
        draw.text((60, 40 + 140 * line), words, fill="black", font=ImageFont.load_default(96))
    picture.save(tmp_path / "words.png")
    with pymupdf.open() as document:
        page = document.new_page(width=612, height=792)
        page.insert_text((72, 72), "Filed on 3 May in the matter of the northern plant", fontsize=11)
        page.insert_image((72, 120, 540, 315), filename=tmp_path / "words.png")
        page = document.new_page(width=612, height=792)
        page.insert_text((72, 72), "A drawing of circles and lines stands below", fontsize=11)
        for at in range(30):
            page.draw_circle((120 + 12 * at, 300 + 7 * at), 60)
            page.draw_line((80, 150 + 18 * at), (520, 700 - 18 * at))
        page = document.new_page(width=612, height=792)
        for row in range(30):
            page.draw_line((72, 80 + 20 * row), (540, 80 + 20 * row))
            page.insert_text(
                (76, 96 + 20 * row), f"Line item {row} of the consolidated statement {row * 317}"
            )
        document.save(tmp_path / "pictured.pdf")
    return tmp_path / "pictured.pdf"


def test_words_in_a_picture_on_a_page_with_text_are_found_after_its_own(pictured, tmp_path, read) -> None:
    with Library.open(tmp_path / "library", SETTINGS) as library:
        library.index([pictured])
        assert len(read) == 2, "the table's rules hold no words"
        (hit,) = library.search("overspeed", LEXICAL).hits
        assert hit.page == 1
        words = [word.text for word in library.words(hit.page_id)]
        assert words[:3] == ["Filed", "on", "3"]
        assert words[-6:] == ["turbine", "inspection", "blade", "clearance", "governor", "overspeed"]
        assert words.count("northern") == 1, "painted over before the picture is read"
        assert library.text(hit.page_id).splitlines()[-3:] == [
            "turbine inspection",
            "blade clearance",
            "governor overspeed",
        ]
        drawing = [word.text for word in library.words(page_id(hit.document_id, 2))]
        assert drawing == ["A", "drawing", "of", "circles", "and", "lines", "stands", "below"]
        assert len(library.index([pictured]).skipped) == 1
        assert len(read) == 2


def test_pages_of_a_library_made_before_are_measured_by_repair_and_read_when_indexed_again(
    pictured, tmp_path
) -> None:
    with Library.open(tmp_path / "library", SETTINGS.changed({"ocr": False})) as library:
        library.index([pictured])
        with library._stores.catalog.begin() as session:
            measured = [row.wordless for row in session.scalars(sa.select(PageRow).order_by(PageRow.number))]
            session.execute(sa.update(PageRow).values(wordless=None))
    with Library.open(tmp_path / "library", SETTINGS) as library:
        assert len(library.index([pictured]).skipped) == 1, "nobody knows that it lacks words"
        library.verify(repair=True)
        with library._stores.catalog.begin() as session:
            again = [row.wordless for row in session.scalars(sa.select(PageRow).order_by(PageRow.number))]
        assert again == pytest.approx(measured, rel=0.1)
        assert library.index([pictured]).skipped == ()
        assert [hit.page for hit in library.search("overspeed", LEXICAL).hits] == [1]


def test_without_ocr_words_in_pictures_are_those_that_the_encoder_makes_out_and_the_text_does_not_count_twice(
    pictured, tmp_path
) -> None:
    settings = Settings(reranker="none", arms=("visual", "lexical"), workers=1, ocr=False)
    with Library.open(tmp_path / "library", settings) as library:
        library.index([pictured])
        (document,) = library.documents()
        assert [hit.page for hit in library.search("turbine inspection", LEXICAL).hits] == [1]
        made_out = seen(library._stores, page_id(document.id, 1)).split()
        assert {"turbine", "inspection", "clearance"} <= set(made_out)
        assert not {"filed", "matter", "northern", "plant"} & set(made_out)
        assert seen(library._stores, page_id(document.id, 3)) == ""
        assert "turbine" not in library.text(page_id(document.id, 1)), "only real words are shown"
