"""Reading words off page images with tesseract."""

import os
import shutil
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from domain.errors import DocumentError, UsageError
from domain.page import Box, Word
from ingest.ocr import lines_of, missing, recognise

needs_tesseract = pytest.mark.skipif(shutil.which("tesseract") is None, reason="tesseract is not installed")


def page(text: str) -> Image.Image:
    image = Image.new("RGB", (900, 400), "white")
    ImageDraw.Draw(image).text((450, 150), text, fill="black", font=ImageFont.load_default(48))
    return image


@needs_tesseract
def test_words_are_read_with_their_places() -> None:
    first, second = recognise(page("operating margin\nby region"))
    assert [word.text for word in first] == ["operating", "margin"]
    assert [word.text for word in second] == ["by", "region"]
    assert (first[0].box.x0, first[0].box.y0) == pytest.approx((0.5, 0.4), abs=0.1)
    assert first[0].box.x0 < first[0].box.x1 <= first[1].box.x0 < first[1].box.x1 <= 1.0
    assert first[0].box.y1 <= second[0].box.y0


@needs_tesseract
def test_a_blank_page_has_no_words() -> None:
    assert recognise(Image.new("RGB", (600, 400), "white")) == ()


@needs_tesseract
def test_a_language_that_is_not_installed_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="'xyz'"):
        recognise(page("words"), languages="xyz")


@needs_tesseract
def test_a_page_that_takes_too_long_is_given_up() -> None:
    with pytest.raises(DocumentError, match=r"more than 0\.001 s") as caught:
        recognise(page("words"), timeout_s=0.001)
    assert caught.value.code == "timeout"


def test_tesseract_alone_is_kept_to_one_thread(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    said = (
        r"block_num\tpar_num\tline_num\ttext\tconf\tleft\ttop\twidth\theight\n1\t1\t1\t%s\t90\t0\t0\t9\t9\n"
    )
    program = tmp_path / "tesseract"
    program.write_text(f"#!/bin/sh\ncat > /dev/null\nprintf '{said}' \"$OMP_THREAD_LIMIT\"\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.delenv("OMP_THREAD_LIMIT", raising=False)
    assert [word.text for line in recognise(page("words")) for word in line] == ["1"]
    assert "OMP_THREAD_LIMIT" not in os.environ


def test_a_page_on_which_tesseract_breaks_is_given_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "tesseract"
    program.write_text("#!/bin/sh\necho 'out of cheese' >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(DocumentError, match="out of cheese") as caught:
        recognise(page("words"))
    assert caught.value.code == "crashed"


def test_a_machine_without_tesseract_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "install the program tesseract" in (missing() or "")
    with pytest.raises(UsageError, match="install the program tesseract"):
        recognise(page("words"))


def test_specks_and_empty_cells_are_no_words_and_lines_without_words_none() -> None:
    names = ("block_num", "par_num", "line_num", "text", "conf", "left", "top", "width", "height")
    rows = [
        ("1", "0", "0", "", "-1", "0", "0", "100", "200"),
        ("1", "1", "1", "speck", "12.0", "0", "0", "5", "5"),
        ("1", "1", "2", " net ", "95.5", "10", "20", "30", "10"),
        ("1", "1", "2", "sales", "30", "50", "20", "40", "10"),
        ("1", "2", "2", "rose", "90", "10", "40", "30", "10"),
    ]
    table = [dict(zip(names, row, strict=True)) for row in rows]
    assert lines_of(table, width_px=100, height_px=200, min_confidence=30.0) == (
        (Word("net", Box(0.1, 0.1, 0.4, 0.15)), Word("sales", Box(0.5, 0.1, 0.9, 0.15))),
        (Word("rose", Box(0.1, 0.2, 0.4, 0.25)),),
    )
