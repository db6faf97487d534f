"""Documents that were written for training, as simple HTML, set as PDFs."""

import re
from dataclasses import dataclass
from pathlib import Path

import pymupdf

from domain.errors import UsageError

MARGIN = 0.07
"""Of a page's width, on every side."""

_STYLE = """
h1 {font-size: 1.9em} h2 {font-size: 1.4em} h3 {font-size: 1.15em} small {font-size: 0.8em}
table {border-collapse: collapse} td, th {border: 0.5pt solid #888; padding: 2pt}
"""
_HEAD = re.compile(r"<!--.*?size:\s*(\d+)x(\d+);\s*font:\s*([\w-]+);\s*size_pt:\s*([\d.]+).*?-->", re.DOTALL)
_SECTION = re.compile(r"<section[^>]*>(.*?)</section>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class WrittenDocument:
    """A document's pages as HTML, their size in points, and how they are set."""

    pages: tuple[str, ...]
    width_pt: float
    height_pt: float
    font: str
    size_pt: float


def read_document(file: Path) -> WrittenDocument:
    """Read a document: a comment that says size and font, then one `section` for each page.

    Raises:
        UsageError: it says no size, or has no page; names the file.
    """
    text = file.read_text()
    head, pages = _HEAD.search(text), tuple(_SECTION.findall(text))
    if not head or not pages:
        raise UsageError(
            f"{file} needs a first line `<!-- size: 595x842; font: serif; size_pt: 10 -->` and a <section> a page"
        )
    return WrittenDocument(pages, float(head[1]), float(head[2]), head[3], float(head[4]))


def print_documents(directory: Path, output: Path) -> list[Path]:
    """Set every document of a directory as a PDF of its name; a page that is too full is set smaller.

    Raises:
        UsageError: a document cannot be read.
    """
    output.mkdir(parents=True, exist_ok=True)
    printed = []
    for file in sorted(directory.glob("*.html")):
        path = output / f"{file.stem}.pdf"
        _print(read_document(file), path)
        printed.append(path)
    return printed


def _print(document: WrittenDocument, path: Path) -> None:
    style = f"body {{font-family: {document.font}; font-size: {document.size_pt}pt}} {_STYLE}"
    margin = MARGIN * document.width_pt
    inside = pymupdf.Rect(margin, margin, document.width_pt - margin, document.height_pt - margin)
    with pymupdf.open() as made:
        for text in document.pages:
            page = made.new_page(width=document.width_pt, height=document.height_pt)
            page.insert_htmlbox(inside, text, css=style)
        made.save(path, garbage=3, deflate=True)
