"""What a reranker is: a query and candidate pages in, one raw score each out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from domain.fingerprint import Fingerprint
from domain.page import PageId

LEGIBLE = 20
"""Words of a text layer below which a page is read by sight alone, as if it had none."""


@dataclass(frozen=True, slots=True, eq=False)
class PageFeatures:
    """A page's stored vectors and where each looks.

    Attributes:
        rows: (n, dim) float32, unit rows.
        boxes: (n, 4) float32, x0 y0 x1 y1 in fractions of the page.
    """

    rows: NDArray[np.float32]
    boxes: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A page to be scored. What a reranker does not ask for is never loaded.

    Attributes:
        page: its id, for error messages and caches.
        image: the page picture, RGB.
        text: the page's text layer, empty where it has none.
        features: the built-in encoder's vectors of the page, None where another encoder made the index.
        title: what its document is called; gives an empty text where nobody knows.
        opening: how its document begins: the text of the first page with words.
    """

    page: PageId
    image: Callable[[], Image.Image]
    text: Callable[[], str]
    features: Callable[[], PageFeatures | None]
    title: Callable[[], str] = str
    opening: Callable[[], str] = str


class Reranker(Protocol):
    """A cross-encoder. A pair's score never depends on the other pairs in its batch."""

    @property
    def name(self) -> str:
        """The name under which the user chose it."""
        ...

    @property
    def fingerprint(self) -> Fingerprint:
        """What made the scores; a calibration belongs to one fingerprint."""
        ...

    def scores(self, query: str, candidates: Sequence[Candidate]) -> list[float]:
        """Raw logits in fp32, one a candidate, in order; higher is more relevant.

        Raises:
            ModelError: a score is not finite; names model and page.
        """
        ...
