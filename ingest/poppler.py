"""Pages by poppler through pdf2image, for what MuPDF refuses. Loaded in worker processes only.

The programs that it starts inherit the worker's limits.
"""

import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

from pdf2image import convert_from_path, pdfinfo_from_path
from pdf2image.exceptions import PDFInfoNotInstalledError, PDFPageCountError, PDFSyntaxError
from PIL import Image

from domain.errors import DocumentError
from ingest.engine import Drawn, Frame, Outline, Text
from ingest.limits import Limits
from ingest.picture import without_empty_colour
from ingest.words import clean

_REFUSED = "poppler cannot open it either"
_XHTML = "{http://www.w3.org/1999/xhtml}"


class PopplerDocument:
    """A PDF as poppler sees it."""

    def __init__(self, path: Path, limits: Limits) -> None:
        """Ask pdfinfo whether it opens.

        Raises:
            DocumentError: it does not, or poppler is not installed.
        """
        self._path = path
        self._limits = limits
        self._facts = self._info(0)  # 0: the document as a whole

    def outline(self) -> Outline:
        """Count the pages and read title, author and the like."""
        names = ("Title", "Author", "Subject", "Keywords", "Creator", "Producer")
        metadata = {name.lower(): clean(str(self._facts[name])) for name in names if self._facts.get(name)}
        return Outline(int(str(self._facts["Pages"])), metadata.get("title", ""), metadata)

    def draw(self, number: int) -> Drawn:
        """Render a page and read its words."""
        zoom = self._limits.zoom(*self._size(number))
        # by resolution: what pdftoppm takes for width and height on a rotated page differs between versions
        pictures = convert_from_path(
            self._path, first_page=number, last_page=number, dpi=72 * zoom,  # type: ignore[arg-type]  # 1.5 will do
            use_cropbox=True, timeout=self._limits.page_cpu_s,
        )  # fmt: skip
        if not pictures:
            raise DocumentError("corrupt", "poppler cannot render it either")
        picture: Image.Image = pictures[0]
        return Drawn(
            without_empty_colour(picture.convert("RGB")),
            self._text(number, wide=picture.width > picture.height),
        )

    def close(self) -> None:
        """Nothing stays open between pages."""

    def _info(self, number: int) -> dict[str, object]:
        try:
            facts: dict[str, object] = pdfinfo_from_path(
                str(self._path), first_page=number, last_page=number, timeout=self._limits.page_cpu_s
            )
        except PDFInfoNotInstalledError as error:
            raise DocumentError("corrupt", "poppler is not installed; install poppler-utils") from error
        except (PDFPageCountError, PDFSyntaxError) as error:
            locked = "password" in str(error).lower()
            raise DocumentError("encrypted" if locked else "corrupt", _REFUSED) from error
        return facts

    def _size(self, number: int) -> tuple[float, float]:
        facts = self._info(number)
        text = str(
            facts.get(f"Page {number:4d} size") or facts.get(f"Page {number} size") or facts["Page size"]
        )
        width, _, height = text.split()[:3]
        return (float(width), float(height))

    def _text(self, number: int, *, wide: bool) -> Text:
        text = Text()
        page = ["-f", str(number), "-l", str(number)]
        done = subprocess.run(
            ["pdftotext", "-q", "-bbox-layout", "-cropbox", *page, str(self._path), "-"],
            capture_output=True, timeout=self._limits.page_cpu_s, check=False,
        )  # fmt: skip
        try:
            tree = ET.fromstring(done.stdout)  # noqa: S314  written by pdftotext, which escapes; no entities
        except ET.ParseError:
            return text  # the picture is there; a text layer that nobody can read is none
        for sheet in tree.iter(f"{_XHTML}page"):
            sides = sorted((float(sheet.get("width", "1")), float(sheet.get("height", "1"))), reverse=wide)
            frame = Frame(0, 0, sides[0], sides[1])  # pdftotext turns the words but not the page's own size
            for line in sheet.iter(f"{_XHTML}line"):
                self._line(text, frame, line)
        return text

    def _line(self, text: Text, frame: Frame, line: ET.Element) -> None:
        for index, part in enumerate(line.iter(f"{_XHTML}word")):
            if len(text.words) < self._limits.max_words:
                x0, y0, x1, y1 = (float(part.get(side, "0")) for side in ("xMin", "yMin", "xMax", "yMax"))
                text.add(part.text or "", frame, (x0, y0, x1, y1), new_line=index == 0)
