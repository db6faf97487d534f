"""The encoder that can be computed by hand: a page is its mean colour, a query a colour's name."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageStat

from domain.fingerprint import Fingerprint
from retrieve.encoder import Floats, Vectors

COLOURS = {
    "black": (0, 0, 0),
    "blue": (0, 0, 255),
    "cyan": (0, 255, 255),
    "gray": (128, 128, 128),
    "green": (0, 255, 0),
    "magenta": (255, 0, 255),
    "orange": (255, 128, 0),
    "purple": (128, 0, 128),
    "red": (255, 0, 0),
    "white": (255, 255, 255),
    "yellow": (255, 255, 0),
}


class ColourEncoder:
    """Three numbers a page: red, green and blue against middle grey, and a fourth that is never zero."""

    name = "colour"
    dim = 4
    fingerprint = Fingerprint(model="colour", revision="1")

    def pages(self, images: Sequence[Image.Image]) -> list[Vectors]:
        """The mean colour of each image as one unit vector that looks at the whole page."""
        return [
            Vectors(
                _unit(ImageStat.Stat(image.convert("RGB")).mean), np.array([[0, 0, 1, 1]], dtype=np.float32)
            )
            for image in images
        ]

    def queries(self, texts: Sequence[str]) -> list[Vectors]:
        """One row for each colour named, in order; a neutral row where none is."""
        found = []
        for text in texts:
            named = [word for word in text.lower().split() if word in COLOURS]
            rows = [_unit(COLOURS[word]) for word in named] or [_unit((128, 128, 128))]
            found.append(Vectors(np.concatenate(rows), labels=tuple(named) or (text,)))
        return found


def load(name: str = "colour", **_options: object) -> ColourEncoder:
    """The encoder, as the tables of models load it; every option is without effect."""
    if name != "colour":
        raise ValueError(f"this file holds the encoder 'colour' only, not {name!r}")
    return ColourEncoder()


def _unit(colour: Sequence[float]) -> Floats:
    point = np.array([[*(channel / 127.5 - 1 for channel in colour), 0.5]], dtype=np.float32)
    unit: Floats = point / np.linalg.norm(point)
    return unit
