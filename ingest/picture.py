"""From pixels to stored bytes: grey or colour, PNG or JPEG, blank or not."""

import io
from dataclasses import dataclass

from PIL import Image, ImageChops

_FLAT_COLOURS = 32
_SMALL_PIXELS = 40_000
_COLOUR_STEP = 6
_INK_STEP = 40
_INK_SHARE = 0.0004


@dataclass(frozen=True, slots=True)
class Encoded:
    """A picture as it is stored; `ink` tells whether anything stands on it."""

    width_px: int
    height_px: int
    media_type: str
    data: bytes
    ink: bool


def encode(image: Image.Image, *, jpeg_quality: int) -> Encoded:
    """Encode an RGB or grey picture by its content.

    A picture of few colours, or a very small one, becomes PNG, which keeps it exactly and costs little;
    anything else JPEG, without chroma where there is no colour.
    """
    small = image.reduce(4)
    coloured = image.mode != "L" and _has_colour(small)
    grey = image if coloured or image.mode == "L" else image.convert("L")
    flat = image.width * image.height <= _SMALL_PIXELS or image.getcolors(_FLAT_COLOURS) is not None
    buffer = io.BytesIO()
    if flat:
        grey.save(buffer, "PNG", compress_level=1)
    else:
        grey.save(buffer, "JPEG", quality=jpeg_quality)
    media_type = "image/png" if flat else "image/jpeg"
    return Encoded(image.width, image.height, media_type, buffer.getvalue(), _has_ink(small))


def _has_colour(small: Image.Image) -> bool:
    red, green, blue = small.split()
    differences = (ImageChops.difference(red, green), ImageChops.difference(green, blue))
    return any(int(one.getextrema()[1]) > _COLOUR_STEP for one in differences)  # type: ignore[arg-type]  # one band


def _has_ink(small: Image.Image) -> bool:
    histogram = small.convert("L").histogram()
    pixels = sum(histogram)
    paper = histogram.index(max(histogram))
    close = sum(histogram[max(0, paper - _INK_STEP) : paper + _INK_STEP + 1])
    return pixels - close > _INK_SHARE * pixels
