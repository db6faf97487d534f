"""Reads the words off a page image with tesseract, where the text layer has none.

An enrichment pass: a page is searchable by sight first, and by these words later. Needs the tesseract program;
whoever wires the pass asks `missing` first and says what lacks.
"""

import csv
import io
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping

from PIL import Image

from domain.errors import DocumentError, UsageError
from domain.page import Box, Word

MIN_CONFIDENCE = 30.0
"""Percent; tesseract reports specks and rules of drawings as words below this."""

Line = tuple[Word, ...]

SCAN_DPI = 200
"""Dots an inch that a page should be rendered at for OCR; tesseract is trained near 300, 200 is enough."""

_LINE = ("block_num", "par_num", "line_num")


def missing() -> str | None:
    """What OCR lacks on this machine, in a sentence with the remedy; None when it can run."""
    if shutil.which("tesseract") is None:
        return "scans and words in pictures are read by sight only: install the program tesseract (tesseract-ocr)"
    return None


def recognise(
    image: Image.Image,
    *,
    languages: str = "eng",
    timeout_s: float = 60.0,
    min_confidence: float = MIN_CONFIDENCE,
) -> tuple[Line, ...]:
    """Read the words of a page image, line by line in reading order.

    Args:
        image: the upright page, best at `SCAN_DPI` or more.
        min_confidence: of a word that is believed, in percent, as tesseract gives it.
        languages: tesseract's language codes, joined by `+`.
        timeout_s: after this many seconds the page is given up.

    Raises:
        UsageError: OCR is not installed, or a language is not.
        DocumentError: tesseract gave the page up (`timeout`) or broke on it (`crashed`).
    """
    lacks = missing()
    if lacks:
        raise UsageError(lacks)
    picture = io.BytesIO()
    image.convert("RGB").save(picture, "PPM")
    try:
        done = subprocess.run(
            ["tesseract", "stdin", "stdout", "-l", languages, "tsv"],
            input=picture.getvalue(),
            capture_output=True,
            check=False,
            timeout=timeout_s,
            # its threads double its work, and pages run side by side; in our own process this limit would make
            # the products inside FAISS wait for ever for the threads that it denies
            env={**os.environ, "OMP_THREAD_LIMIT": "1"},
        )
    except subprocess.TimeoutExpired as error:
        raise DocumentError("timeout", f"tesseract needed more than {timeout_s:g} s for this page") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        if "language" in said:
            raise UsageError(f"tesseract has no data for the language {languages!r}; install it")
        raise DocumentError("crashed", f"tesseract broke on this page: {said or done.returncode}")
    lines = io.StringIO(done.stdout.decode(errors="replace"), newline="\n")
    table = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    return lines_of(table, width_px=image.width, height_px=image.height, min_confidence=min_confidence)


def lines_of(
    table: Iterable[Mapping[str, str]], *, width_px: int, height_px: int, min_confidence: float
) -> tuple[Line, ...]:
    """Turn tesseract's table into lines of words with boxes in fractions of the page; lines without words are left out.

    Args:
        table: rows with `text`, `conf` (percent, -1 for no word), `left`, `top`, `width`, `height` (px) and the numbers
            of the line that they are in, `block_num`, `par_num`, `line_num`.
        width_px: of the image that was read.
        height_px: of the image that was read.
        min_confidence: of a word that is believed, in percent.
    """
    lines: dict[tuple[str, ...], list[Word]] = {}
    for row in table:
        text = (row["text"] or "").strip()
        if text and float(row["conf"]) >= min_confidence:
            left, top, width, height = (int(row[name]) for name in ("left", "top", "width", "height"))
            box = Box(left / width_px, top / height_px, (left + width) / width_px, (top + height) / height_px)
            lines.setdefault(tuple(row[name] for name in _LINE), []).append(Word(text, box))
    return tuple(tuple(words) for words in lines.values())
