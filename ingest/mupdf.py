"""Pages by MuPDF. Loaded in worker processes only."""

from pathlib import Path

import pymupdf
from PIL import Image
from pymupdf import mupdf

from domain.errors import DocumentError
from ingest.engine import Drawn, Frame, Outline, Text
from ingest.limits import Limits
from ingest.words import clean

_FLAGS = pymupdf.TEXT_MEDIABOX_CLIP | pymupdf.TEXT_PRESERVE_WHITESPACE
_STORE_PERCENT = 50
_COLOUR_STEP = 0.02
_LARGEST_SIDE_PT = 14_400  # what ISO 32000 advises; pages beyond it are mistakes


class MuPdfDocument:
    """A PDF opened by MuPDF, which repairs what it can."""

    def __init__(self, path: Path, limits: Limits) -> None:
        """Open it.

        Raises:
            DocumentError: it wants a password, or is beyond repair.
        """
        pymupdf.TOOLS.mupdf_display_errors(on=False)
        pymupdf.TOOLS.mupdf_display_warnings(on=False)
        self._limits = limits
        try:
            self._document = pymupdf.open(path, filetype="pdf")
        except pymupdf.FileDataError as error:
            raise DocumentError("corrupt", "it is too damaged to be opened") from error
        if self._document.needs_pass:
            self._document.close()
            raise DocumentError(
                "encrypted",
                "it needs a password; remove it, for instance with "
                "`qpdf --password=... --decrypt IN.pdf OUT.pdf`",
            )

    def outline(self) -> Outline:
        """Count the pages and read title, author and the like.

        Raises:
            DocumentError: the file had to be repaired and no page was left.
        """
        if self._document.page_count == 0 and self._document.is_repaired:
            raise DocumentError("corrupt", "it is damaged or cut off, and no page is left of it")
        facts = self._document.metadata or {}
        read = {key: clean(value) for key, value in facts.items() if isinstance(value, str)}
        metadata = {key: value for key, value in read.items() if value}
        return Outline(self._document.page_count, metadata.get("title", ""), metadata)

    def draw(self, number: int) -> Drawn:
        """Render a page and read its words, interpreting its content once.

        Of a page that is absurdly large only the part around its origin on which something is drawn is shown.
        """
        page = self._document.load_page(number - 1)
        absurd = max(page.rect.width, page.rect.height) > _LARGEST_SIDE_PT
        page = self._cut(page) if absurd else page
        shown = page.get_displaylist()
        area = _drawn_area(page) if absurd else shown.rect
        zoom = self._limits.zoom(area.width, area.height)
        space = pymupdf.csRGB if _has_colour(shown) else pymupdf.csGRAY
        pixmap = shown.get_pixmap(matrix=pymupdf.Matrix(zoom, zoom), alpha=0, colorspace=space, clip=area)
        image = Image.new("RGB" if pixmap.n == 3 else "L", (pixmap.width, pixmap.height), None)
        image.frombytes(pixmap.samples_mv)
        text = self._text(shown, area)
        pymupdf.TOOLS.store_shrink(_STORE_PERCENT)
        return Drawn(image, text)

    def close(self) -> None:
        """Let go of the file and of everything cached of it."""
        self._document.close()
        pymupdf.TOOLS.store_shrink(100)

    def _cut(self, page: pymupdf.Page) -> pymupdf.Page:
        """Hold the page's size to the largest allowed; beyond it single precision loses what is drawn."""
        box = page.mediabox
        width, height = min(box.width, _LARGEST_SIDE_PT), min(box.height, _LARGEST_SIDE_PT)
        page.set_mediabox(pymupdf.Rect(box.x0, box.y0, box.x0 + width, box.y0 + height))
        smaller: pymupdf.Page = self._document.load_page(page.number)
        return smaller

    def _text(self, shown: pymupdf.DisplayList, area: pymupdf.Rect) -> Text:
        text = Text()
        frame = Frame(area.x0, area.y0, area.width, area.height)
        found = pymupdf.TextPage(shown.get_textpage(_FLAGS)).extractWORDS()
        last = None
        for x0, y0, x1, y1, raw, block, line, _ in found[: self._limits.max_words]:
            text.add(raw, frame, (x0, y0, x1, y1), new_line=(block, line) != last)
            last = (block, line)
        return text


def _drawn_area(page: pymupdf.Page) -> pymupdf.Rect:
    """The part of a page on which something is drawn; all of it when nothing is."""
    drawn = pymupdf.Rect(pymupdf.EMPTY_RECT())
    for _, box in page.get_bboxlog():
        drawn |= pymupdf.Rect(box)
    whole: pymupdf.Rect = page.rect
    drawn &= whole
    return whole if drawn.is_empty else drawn


def _has_colour(shown: pymupdf.DisplayList) -> bool:
    """Ask MuPDF's test device, without rasterising: an image in a colour space counts as colour."""
    found = mupdf.ll_fz_new_test_device_outparams()
    device = mupdf.FzDevice(mupdf.ll_fz_new_test_device_outparams_fn(_COLOUR_STEP, 0, None, found))
    everywhere = mupdf.FzRect(mupdf.FzRect.Fixed_INFINITE)
    try:
        mupdf.fz_run_display_list(shown.this, device, mupdf.FzMatrix(), everywhere, mupdf.FzCookie())
        mupdf.fz_close_device(device)
    except mupdf.FzErrorAbort:
        return True  # the device ends the run as soon as it has seen a colour
    return bool(found.is_color)
