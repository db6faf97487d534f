"""Pictures that come over HTTP, and texts drawn as pages for models that read pages."""

import base64
import binascii
import io
import textwrap
from functools import cache

from PIL import Image, ImageDraw, ImageFont, UnidentifiedImageError

from domain.errors import UsageError
from rerank.reranker import Candidate, PageFeatures
from retrieve.encoder import Encoder
from service.model_schemas import RerankDocument

MAX_PIXELS = 20_000_000
_PAGE = (850, 1100)
_COLUMNS, _LINES = 84, 58


def picture(text: str) -> Image.Image:
    """Decode an image from a data URI or from base64, as RGB.

    Raises:
        UsageError: it is a URL (nothing is fetched), not base64, not an image, or has too many pixels.
    """
    if text[:8].lower().startswith(("http:", "https:", "file:")):
        raise UsageError("an image is sent as a data URI or base64; this service fetches no URL")
    _, comma, data = text.partition(",") if text[:5].lower() == "data:" else ("", ",", text)
    try:
        opened = Image.open(io.BytesIO(base64.b64decode(data if comma else "", validate=True)))
        if opened.width * opened.height > MAX_PIXELS:
            raise UsageError(
                f"an image has at most {MAX_PIXELS} pixels, not {opened.width} x {opened.height}"
            )
        return opened.convert("RGB")
    except (binascii.Error, UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise UsageError(f"the image cannot be decoded: {error}") from error


def text_page(text: str) -> Image.Image:
    """Draw a text as a page; what does not fit one page is left out."""
    page = Image.new("RGB", _PAGE, "white")
    pen = ImageDraw.Draw(page)
    paragraphs = (textwrap.wrap(line, _COLUMNS) or [""] for line in text.splitlines())
    lines = [line for paragraph in paragraphs for line in paragraph][:_LINES]
    pen.multiline_text((60, 60), "\n".join(lines), fill="black", font=ImageFont.load_default(16), spacing=4)
    return page


def candidate(document: RerankDocument, encoder: Encoder, number: int) -> Candidate:
    """A document of a request as a candidate page; drawn, decoded and embedded only if asked for.

    Raises:
        UsageError: it holds neither text nor image.
    """
    if document.text is None and document.image is None:
        raise UsageError(f"document {number} holds neither text nor image")
    decoded = picture(document.image) if document.image is not None else None

    @cache
    def image() -> Image.Image:
        return decoded if decoded is not None else text_page(document.text or "")

    @cache
    def features() -> PageFeatures | None:
        found = encoder.pages([image()])[0]
        return None if found.boxes is None else PageFeatures(found.rows, found.boxes)

    return Candidate(f"request/{number + 1:04d}", image, lambda: document.text or "", features)
