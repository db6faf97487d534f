"""Pages by PDFium, for what neither MuPDF nor poppler opens. Loaded in worker processes only."""

import ctypes
import re
from pathlib import Path

import pypdfium2
from pypdfium2 import raw

from domain.errors import DocumentError
from ingest.engine import Drawn, Frame, Outline, Text
from ingest.layer import STEPS
from ingest.limits import Limits
from ingest.picture import without_empty_colour
from ingest.words import clean

_WORD = re.compile(r"\S+")
_LOCKED = {
    raw.FPDF_ERR_PASSWORD: "it needs a password; save a copy without one",
    raw.FPDF_ERR_SECURITY: "it is locked with a certificate; save a copy without protection",
}
_WHOLE = Frame(0, 0, STEPS, STEPS)


class PdfiumDocument:
    """A PDF as PDFium sees it."""

    def __init__(self, path: Path, limits: Limits) -> None:
        """Open it.

        Raises:
            DocumentError: it does not open.
        """
        self._limits = limits
        try:
            self._document = pypdfium2.PdfDocument(path)
        except pypdfium2.PdfiumError as error:
            if error.err_code in _LOCKED:
                raise DocumentError("encrypted", _LOCKED[error.err_code]) from error
            raise DocumentError("corrupt", "PDFium cannot open it either") from error

    def outline(self) -> Outline:
        """Count the pages and read title, author and the like."""
        facts = self._document.get_metadata_dict(skip_empty=True)
        metadata = {key.lower(): clean(value) for key, value in facts.items() if clean(value)}
        return Outline(len(self._document), metadata.get("title", ""), metadata)

    def draw(self, number: int) -> Drawn:
        """Render a page and read its words.

        Raises:
            DocumentError: the page cannot be loaded.
        """
        try:
            page = self._document[number - 1]
            zoom = self._limits.zoom(*page.get_size())
            image = page.render(scale=zoom, rev_byteorder=True).to_pil().convert("RGB")
        except pypdfium2.PdfiumError as error:
            raise DocumentError("corrupt", "PDFium cannot render it either") from error
        return Drawn(without_empty_colour(image), self._text(page))

    def close(self) -> None:
        """Let go of the file."""
        self._document.close()

    def _text(self, page: pypdfium2.PdfPage) -> Text:
        text = Text()
        source = page.get_textpage()
        for line in re.finditer(r"[^\r\n]+", source.get_text_range()):
            for index, word in enumerate(_WORD.finditer(line.group())):
                if len(text.words) < self._limits.max_words:
                    first = line.start() + word.start()
                    box = _box(page, source, first, first + len(word.group()))
                    text.add(word.group(), _WHOLE, box, new_line=index == 0)
        return text


def _box(
    page: pypdfium2.PdfPage, source: pypdfium2.PdfTextPage, first: int, end: int
) -> tuple[float, float, float, float]:
    """The box around characters, in steps of the upright page."""
    corners: list[tuple[int, int]] = []
    for index in range(first, min(end, source.count_chars())):
        left, bottom, right, top = source.get_charbox(index)
        corners += (_on_page(page, left, bottom), _on_page(page, right, top))
    if not corners:
        return (0, 0, 0, 0)
    across, down = [x for x, _ in corners], [y for _, y in corners]
    return (min(across), min(down), max(across), max(down))


def _on_page(page: pypdfium2.PdfPage, x_pt: float, y_pt: float) -> tuple[int, int]:
    x, y = ctypes.c_int(), ctypes.c_int()
    raw.FPDF_PageToDevice(page, 0, 0, STEPS, STEPS, 0, x_pt, y_pt, ctypes.byref(x), ctypes.byref(y))
    return (x.value, y.value)
