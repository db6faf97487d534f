"""The encoder that ships with recto: a small convolutional reader, made for laptops without a GPU."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

import models
from backbone.memory import give_back_large
from backbone.threads import Crew
from backbone.transformer import has_tiles
from domain.errors import ModelError
from domain.fingerprint import Fingerprint
from domain.model import ModelSettings
from retrieve.builtin.files import Parts, read_parts
from retrieve.builtin.reading import see
from retrieve.builtin.weighing import weighed
from retrieve.encoder import Vectors


def load(name: str, *, settings: ModelSettings) -> "BuiltinEncoder":
    """Open the encoder in `models/encoder`, or in another directory as `builtin:DIRECTORY`.

    Args:
        name: `builtin` or `builtin:DIRECTORY`.
        settings: `dtype` chooses the arithmetic; the model runs on the processor whatever the device.

    Raises:
        ModelError: its files are missing or damaged.
    """
    give_back_large()
    _, _, place = name.partition(":")
    directory = Path(place) if place else Path(models.__file__).parent / "encoder"
    fast = settings.dtype == "bfloat16" or (settings.dtype == "auto" and has_tiles())
    return BuiltinEncoder(name, read_parts(directory), fast=fast)


class BuiltinEncoder:
    """Sees pixels only. A page's vectors are those of the words on it; a query's those of its words."""

    def __init__(self, name: str, parts: Parts, *, fast: bool) -> None:
        """Keep the towers; `fast` computes convolutions in bfloat16."""
        self.name = name
        self.dim = parts.speller.codes.shape[1] + 1
        self.fingerprint = Fingerprint(
            model="builtin", weights=parts.digest, max_visual_tokens=parts.weighing.rows, pooling="words"
        )
        self._parts, self._fast, self._crew = parts, fast, Crew()

    def pages(self, images: Sequence[Image.Image]) -> list[Vectors]:
        """Embed page images one by one, so that no page depends on another.

        Raises:
            ModelError: an image is not RGB.
        """
        return self._crew.each(self._page, images)

    def _page(self, image: Image.Image) -> Vectors:
        if image.mode != "RGB":
            raise ModelError(f"the encoder takes RGB images, not {image.mode}; convert the image first")
        parts = self._parts
        return weighed(see(parts.tower, image, threshold=parts.threshold, fast=self._fast), parts.weighing)

    def queries(self, texts: Sequence[str]) -> list[Vectors]:
        """Embed query texts; a text is only ever split into words."""
        return [self._parts.speller.query(text) for text in texts]
