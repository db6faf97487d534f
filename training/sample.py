"""A page as training sees it: pixels, words with boxes, single letters with centres."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from domain import words

ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789.,-$%()/:&'"
"""Letters that the auxiliary task names; class 0 is anything else, the last class is background."""
LETTER_CLASSES = len(ALPHABET) + 2
_CODES = {letter: code for code, letter in enumerate(ALPHABET, start=1)}


@dataclass(slots=True)
class Sample:
    """A picture and what stands on it, all in its own pixels.

    Attributes:
        image: (h, w) uint8.
        words: n texts as `domain.words.split` gives them.
        boxes: (n, 4) float32, x0 y0 x1 y1.
        sizes: (n,) float32, the font size.
        letters: (m, 3) float32, x and y of a letter's centre and its class.
    """

    image: NDArray[np.uint8]
    words: list[str]
    boxes: NDArray[np.float32]
    sizes: NDArray[np.float32]
    letters: NDArray[np.float32]


@dataclass(slots=True)
class Notes:
    """Collects what was set on a page: text runs with each character's left and right edge."""

    words: list[str] = field(default_factory=list)
    boxes: list[tuple[float, float, float, float]] = field(default_factory=list)
    sizes: list[float] = field(default_factory=list)
    letters: list[tuple[float, float, float]] = field(default_factory=list)

    def add(self, text: str, edges: list[float], band: tuple[float, float], size: float) -> None:
        """Note a run without spaces; `edges` has one more entry than `text`, `band` is its top and bottom."""
        middle = (band[0] + band[1]) / 2
        folded: list[str] = []
        owner: list[int] = []
        for place, letter in enumerate(text):
            for part in words.plain(letter):
                folded.append(part)
                owner.append(place)
            self.letters.append(((edges[place] + edges[place + 1]) / 2, middle, letter_class(letter)))
        joined = "".join(folded)
        for start, end in words.spans(joined):
            self.words.append(joined[start:end][: words.LONGEST])
            self.boxes.append((edges[owner[start]], band[0], edges[owner[end - 1] + 1], band[1]))
            self.sizes.append(size)

    def sample(
        self, image: NDArray[np.uint8], scale: float = 1.0, shift: tuple[float, float] = (0, 0)
    ) -> Sample:
        """Turn the notes, in points, into a sample of `image` at `scale` pixels a point after a shift."""
        move = np.array([*shift, *shift], np.float32)
        boxes = (np.array(self.boxes, np.float32).reshape(-1, 4) - move) * scale
        letters = np.array(self.letters, np.float32).reshape(-1, 3)
        letters[:, :2] = (letters[:, :2] - move[:2]) * scale
        sizes = np.array(self.sizes, np.float32) * scale
        return Sample(image, list(self.words), boxes, sizes, letters)


def letter_class(letter: str) -> int:
    """The class of a letter, without regard to case; 0 for what the alphabet lacks."""
    return _CODES.get(letter.lower(), 0)
