"""From pixels to stored bytes: grey or colour, PNG or JPEG, blank or not."""

import io
from collections.abc import Iterable
from dataclasses import dataclass

from PIL import Image, ImageChops, ImageDraw

from domain.page import Box

_FLAT_COLOURS = 32
_SMALL_PIXELS = 40_000
_COLOUR_STEP = 6
_INK_STEP = 40
_INK_SHARE = 0.0004
_TINT_SHARE = 0.01
_AROUND = 1
_SHRINK = 4


@dataclass(frozen=True, slots=True)
class Encoded:
    """A picture as it is stored."""

    media_type: str
    data: bytes


def encode(image: Image.Image, *, jpeg_quality: int) -> Encoded:
    """Encode an RGB or grey picture by its content.

    A picture of few colours, or a very small one, becomes PNG, which keeps it exactly and costs little then;
    anything else JPEG, whose encoding takes a tenth of the time.
    """
    buffer = io.BytesIO()
    if image.width * image.height <= _SMALL_PIXELS or image.getcolors(_FLAT_COLOURS) is not None:
        image.save(buffer, "PNG", compress_level=1)
        return Encoded("image/png", buffer.getvalue())
    image.save(buffer, "JPEG", quality=jpeg_quality)
    return Encoded("image/jpeg", buffer.getvalue())


def without_empty_colour(image: Image.Image) -> Image.Image:
    """The picture in grey if it has no colour; averages of 4 x 4 pixels are looked at."""
    if image.mode == "L":
        return image
    red, green, blue = image.reduce(_SHRINK).split()
    for one, other in ((red, green), (green, blue)):
        histogram = ImageChops.difference(one, other).histogram()
        if any(histogram[_COLOUR_STEP:]):
            return image
    return image.convert("L")


def has_ink(image: Image.Image) -> bool:
    """Whether anything stands on the paper, whose shade is the commonest; specks of a scan do not count.

    Colours are looked at by themselves too: black on blue differs little in brightness. The tints of a
    scanner do as well, so more of the page must differ in a colour than in brightness.
    """
    small = image.reduce(_SHRINK)
    if _differs(small.convert("L").histogram(), _INK_SHARE):
        return True
    return any(_differs(band.histogram(), _TINT_SHARE) for band in small.split())


def wordless(image: Image.Image, boxes: Iterable[Box]) -> float:
    """The share of a page, in [0, 1], that changes across and down at once where no word of its text layer stands.

    Letters do, and what is drawn in detail; areas of one colour and the rules of tables do not.
    """
    small = without_words(image.convert("L").reduce(_SHRINK), boxes)
    width, height = small.width - 1, small.height - 1
    if not width or not height:
        return 0.0
    here = small.crop((0, 0, width, height))
    across = ImageChops.difference(here, small.crop((1, 0, width + 1, height)))
    down = ImageChops.difference(here, small.crop((0, 1, width, height + 1)))
    changes = ImageChops.darker(across, down).histogram()
    return sum(changes[_INK_STEP:]) / sum(changes)


def without_words(image: Image.Image, boxes: Iterable[Box]) -> Image.Image:
    """A grey picture (mode L) whose words are painted over in the shade of the paper, the commonest."""
    histogram = image.histogram()
    painted, paper = image.copy(), histogram.index(max(histogram))
    draw = ImageDraw.Draw(painted)
    for box in boxes:
        left, right = sorted((box.x0 * image.width, box.x1 * image.width))
        top, bottom = sorted((box.y0 * image.height, box.y1 * image.height))
        draw.rectangle((left - _AROUND, top - _AROUND, right + _AROUND, bottom + _AROUND), fill=paper)
    return painted


def _differs(histogram: list[int], share: float) -> bool:
    pixels = sum(histogram)
    paper = histogram.index(max(histogram))
    close = sum(histogram[max(0, paper - _INK_STEP) : paper + _INK_STEP + 1])
    return pixels - close > share * pixels
