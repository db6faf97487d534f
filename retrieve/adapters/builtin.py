"""The encoder that ships with recto: a small convolutional reader, for laptops as for GPUs."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from PIL import Image

import models
from backbone.device import place
from backbone.integers import bytes_pay
from backbone.memory import give_back_large
from backbone.threads import Crew
from backbone.transformer import halves_pay
from domain.errors import ModelError
from domain.fingerprint import Fingerprint
from domain.model import ModelSettings
from retrieve.builtin.files import Parts, read_parts
from retrieve.builtin.integers import in_bytes
from retrieve.builtin.reading import Tower, see
from retrieve.builtin.weighing import weighed
from retrieve.encoder import Vectors


def load(name: str, *, settings: ModelSettings) -> "BuiltinEncoder":
    """Open the encoder in `models/encoder`, or in another directory as `builtin:DIRECTORY`.

    Args:
        name: `builtin` or `builtin:DIRECTORY`.
        settings: `device` and `dtype` choose where pages are read and in which arithmetic, `auto` the fastest one
            (bytes, bfloat16, float32); questions are spelled on the processor.

    Raises:
        ModelError: its files are missing or damaged, or the device does not exist here.
    """
    give_back_large()
    _, _, folder = name.partition(":")
    directory = Path(folder) if folder else Path(models.__file__).parent / "encoder"
    device = place(settings).device
    parts = read_parts(directory)
    parts.tower.to(device)
    if settings.dtype == "auto" and device == "cpu" and parts.ranges and bytes_pay():
        tower = in_bytes(parts.tower, parts.ranges)
        if tower is not None:
            return BuiltinEncoder(name, parts, tower, fast=False, at_once=False)
    fast = settings.dtype == "bfloat16" or (settings.dtype == "auto" and halves_pay(device))
    return BuiltinEncoder(name, parts, parts.tower, fast=fast, at_once=device != "cpu")


class BuiltinEncoder:
    """Sees pixels only. A page's vectors are those of the words on it; a query's those of its words."""

    def __init__(self, name: str, parts: Parts, tower: Tower, *, fast: bool, at_once: bool) -> None:
        """Keep the towers; the last three as `see` takes them."""
        self.name = name
        self.dim = parts.speller.codes.shape[1] + 1
        self.fingerprint = Fingerprint(
            model="builtin", weights=parts.digest, max_visual_tokens=parts.weighing.rows, pooling="words"
        )
        self._parts, self._crew = parts, Crew()
        self.tower = tower
        self._see = partial(see, tower, threshold=parts.threshold, fast=fast, at_once=at_once)

    def pages(self, images: Sequence[Image.Image]) -> list[Vectors]:
        """Embed page images one by one, so that no page depends on another.

        Raises:
            ModelError: an image is not RGB.
        """
        return self._crew.each(self._page, images)

    def _page(self, image: Image.Image) -> Vectors:
        if image.mode != "RGB":
            raise ModelError(f"the encoder takes RGB images, not {image.mode}; convert the image first")
        return weighed(self._see(image), self._parts.weighing)

    def queries(self, texts: Sequence[str]) -> list[Vectors]:
        """Embed query texts; a text is only ever split into words."""
        return [self._parts.speller.query(text) for text in texts]
