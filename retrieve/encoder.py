"""What an encoder is: page images and query texts in, unit vectors out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from domain.fingerprint import Fingerprint

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Vectors:
    """The vectors of one page or one query, without padding.

    Attributes:
        rows: (n, dim) float32, every row of unit length; one row where the model gives one vector.
        boxes: for a page, (n, 4) float32 x0 y0 x1 y1 in fractions of the page, origin at the top left;
            None where a model cannot say where a vector looks.
        weights: for a query, (n,) float32, how much each token counts; None means all 1.
        labels: for a query, the n pieces of text that the rows stand for, where known.
    """

    rows: Floats
    boxes: Floats | None = None
    weights: Floats | None = None
    labels: tuple[str, ...] | None = None


class Encoder(Protocol):
    """A visual bi-encoder. A page's vectors never depend on the batch that it was in."""

    @property
    def name(self) -> str:
        """The name under which the user chose it."""
        ...

    @property
    def dim(self) -> int:
        """The width of every vector."""
        ...

    @property
    def fingerprint(self) -> Fingerprint:
        """What made the vectors."""
        ...

    def pages(self, images: Sequence[Image.Image]) -> list[Vectors]:
        """Embed RGB page images, in order; none gives none. Blank pages may have no rows."""
        ...

    def queries(self, texts: Sequence[str]) -> list[Vectors]:
        """Embed query texts, in order, at least one row each; a text is never opened as a path or fetched."""
        ...
