"""Pages by MuPDF. Loaded in worker processes only."""

from collections.abc import Sequence
from pathlib import Path

import pymupdf
from PIL import Image

from domain.errors import DocumentError
from domain.page import Box, Word
from ingest.engine import Drawn, Outline
from ingest.limits import Limits
from ingest.words import clean, fraction

_FLAGS = pymupdf.TEXT_MEDIABOX_CLIP | pymupdf.TEXT_PRESERVE_WHITESPACE
_STORE_PERCENT = 50


class MuPdfDocument:
    """A PDF opened by MuPDF, which repairs what it can."""

    def __init__(self, path: Path, limits: Limits) -> None:
        """Open it.

        Raises:
            DocumentError: it wants a password.
        """
        pymupdf.TOOLS.mupdf_display_errors(on=False)
        pymupdf.TOOLS.mupdf_display_warnings(on=False)
        self._limits = limits
        self._document = pymupdf.open(path, filetype="pdf")
        if self._document.needs_pass:
            self._document.close()
            raise DocumentError(
                "encrypted",
                f"{path} needs a password; remove it, for instance with "
                "`qpdf --password=... --decrypt IN.pdf OUT.pdf`",
            )

    def outline(self) -> Outline:
        """Count the pages and read title, author and the like."""
        facts = self._document.metadata or {}
        metadata = {
            key: clean(value) for key, value in facts.items() if isinstance(value, str) and clean(value)
        }
        return Outline(self._document.page_count, metadata.get("title", ""), metadata)

    def draw(self, number: int) -> Drawn:
        """Render a page and read its words, interpreting its content once."""
        page = self._document.load_page(number - 1)
        shown = page.get_displaylist()
        frame = shown.rect
        zoom = self._limits.zoom(frame.width, frame.height)
        pixmap = shown.get_pixmap(matrix=pymupdf.Matrix(zoom, zoom), alpha=0, colorspace=pymupdf.csRGB)
        image = Image.frombytes("RGB", (pixmap.width, pixmap.height), pixmap.samples_mv)
        del pixmap
        found = pymupdf.TextPage(shown.get_textpage(_FLAGS)).extractWORDS()[: self._limits.max_words]
        pymupdf.TOOLS.store_shrink(_STORE_PERCENT)
        return Drawn(image, *_layer(found, frame))

    def close(self) -> None:
        """Let go of the file and of everything cached of it."""
        self._document.close()
        pymupdf.TOOLS.store_shrink(100)


def _layer(
    found: Sequence[tuple[float, float, float, float, str, int, int, int]], frame: pymupdf.Rect
) -> tuple[tuple[Word, ...], tuple[str, ...]]:
    words: list[Word] = []
    lines: list[str] = []
    last = (-1, -1)
    for x0, y0, x1, y1, raw, block, line, _ in found:
        text = clean(raw)
        if not text:
            continue
        box = Box(
            fraction(x0 - frame.x0, frame.width),
            fraction(y0 - frame.y0, frame.height),
            fraction(x1 - frame.x0, frame.width),
            fraction(y1 - frame.y0, frame.height),
        )
        words.append(Word(text, box))
        if (block, line) == last:
            lines[-1] += " " + text
        else:
            lines.append(text)
        last = (block, line)
    return tuple(words), tuple(lines)
