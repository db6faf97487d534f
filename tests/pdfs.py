"""PDFs made in code: coloured pages with a sentence each."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pymupdf

from retrieve.adapters.colour import COLOURS


@dataclass(frozen=True, slots=True)
class Sheet:
    """A page of one colour with a line of text; no colour and no text is a blank page."""

    colour: str | None = None
    text: str = ""


def write_pdf(path: Path, sheets: Sequence[Sheet]) -> Path:
    """Write a PDF of these pages and return its path."""
    document = pymupdf.open()
    for sheet in sheets:
        page = document.new_page(width=200, height=280)
        if sheet.colour:
            red, green, blue = (channel / 255 for channel in COLOURS[sheet.colour])
            page.draw_rect(page.rect, fill=(red, green, blue), color=None)
        if sheet.text:
            page.insert_text((20, 40), sheet.text, fontsize=9, color=(0.5, 0.5, 0.5))
    path.parent.mkdir(parents=True, exist_ok=True)
    document.save(path)
    document.close()
    return path
