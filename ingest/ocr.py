"""Reads the words off a page image with tesseract, for pages that have no text layer.

An enrichment pass: a page is searchable by sight first, and by these words later. Needs the tesseract program;
whoever wires the pass asks `missing` first and says what lacks.
"""

import shutil
from collections.abc import Mapping, Sequence
from typing import Any

import pytesseract
from PIL import Image

from domain.errors import DocumentError, UsageError
from domain.page import Box, Word

MIN_CONFIDENCE = 30.0
"""Percent; tesseract reports specks and rules of drawings as words below this."""

SCAN_DPI = 200
"""Dots an inch that a page should be rendered at for OCR; tesseract is trained near 300, 200 is enough."""


def missing() -> str | None:
    """What OCR lacks on this machine, in a sentence with the remedy; None when it can run."""
    if shutil.which("tesseract") is None:
        return (
            "pages without a text layer are read by sight only: install the program tesseract (tesseract-ocr)"
        )
    return None


def recognise(image: Image.Image, *, languages: str = "eng", timeout_s: float = 60.0) -> tuple[Word, ...]:
    """Read the words of a page image, in reading order.

    Args:
        image: the upright page, best at `SCAN_DPI` or more.
        languages: tesseract's language codes, joined by `+`.
        timeout_s: after this many seconds the page is given up.

    Raises:
        UsageError: OCR is not installed, or a language is not.
        DocumentError: tesseract gave the page up (`timeout`) or broke on it (`crashed`).
    """
    lacks = missing()
    if lacks:
        raise UsageError(lacks)
    try:
        table = pytesseract.image_to_data(
            image.convert("RGB"), lang=languages, timeout=timeout_s, output_type=pytesseract.Output.DICT
        )
    except pytesseract.TesseractError as error:
        if "language" in str(error):
            raise UsageError(f"tesseract has no data for the language {languages!r}; install it") from error
        raise DocumentError("crashed", f"tesseract broke on this page: {error}") from error
    except RuntimeError as error:  # pytesseract's way of reporting a timeout
        raise DocumentError("timeout", f"tesseract needed more than {timeout_s:g} s for this page") from error
    return words_of(table, width_px=image.width, height_px=image.height)


def words_of(table: Mapping[str, Sequence[Any]], *, width_px: int, height_px: int) -> tuple[Word, ...]:
    """Turn tesseract's columns into words with boxes in fractions of the page.

    Args:
        table: columns `text`, `conf` (percent, -1 for no word), `left`, `top`, `width`, `height` (px).
        width_px: of the image that was read.
        height_px: of the image that was read.
    """
    columns = (table[name] for name in ("text", "conf", "left", "top", "width", "height"))
    return tuple(
        Word(
            text.strip(),
            Box(left / width_px, top / height_px, (left + width) / width_px, (top + height) / height_px),
        )
        for text, confidence, left, top, width, height in zip(*columns, strict=True)
        if text.strip() and float(confidence) >= MIN_CONFIDENCE
    )
