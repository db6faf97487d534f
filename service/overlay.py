"""Draws where a query was answered onto the picture of a page."""

import io
from collections.abc import Sequence

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from library.results import EvidenceCell

_HEAT = (255, 138, 0)
_STRONGEST = 190


def draw(page: bytes, cells: Sequence[EvidenceCell]) -> bytes:
    """The page with its evidence as soft orange light, as PNG; the strongest cell shines strongest.

    Args:
        page: an encoded picture of the page.
        cells: places in fractions of the page; similarity at or below 0 shows nothing.
    """
    with Image.open(io.BytesIO(page)) as opened:
        base = opened.convert("RGB")
    width, height = base.size
    light = Image.new("L", base.size, 0)
    brush = ImageDraw.Draw(light)
    most = max((cell.similarity for cell in cells), default=0.0)
    for cell in sorted(cells, key=lambda c: c.similarity):
        if cell.similarity > 0:
            box = cell.box
            corners = (box.x0 * width, box.y0 * height, box.x1 * width, box.y1 * height)
            brush.rectangle(corners, fill=round(_STRONGEST * cell.similarity / most))
    light = light.filter(ImageFilter.GaussianBlur(max(1, width // 200)))
    tint = Image.composite(Image.new("RGB", base.size, _HEAT), Image.new("RGB", base.size, "white"), light)
    heated = ImageChops.multiply(base, tint)  # like a highlighter: the words stay as black as they were
    out = io.BytesIO()
    heated.save(out, "PNG", compress_level=3)
    return out.getvalue()
