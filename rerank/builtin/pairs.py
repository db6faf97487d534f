"""From a question and pages to the padded batch that the network reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from domain import words
from rerank.builtin.network import Pairs, RerankNetwork
from rerank.reranker import PageFeatures

Floats = NDArray[np.float32]

MOST_CELLS = 1200
"""Page words that are read at most; a densely printed page has about 900."""


@dataclass(frozen=True, slots=True, eq=False)
class Wording:
    """The words of a question: (q, dim) float32 unit rows, and (q,) float32 how much each tells."""

    rows: Floats
    worth: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """The words of a page in reading order.

    Attributes:
        cells: (p, dim) float32 unit rows.
        boxes: (p, 4) float32 in fractions of the page; zeros where nobody knows the place.
    """

    cells: Floats
    boxes: Floats


class Speller:
    """Spells words as vectors with the table of hashed n-grams; remembers the words that it met."""

    def __init__(self, network: RerankNetwork) -> None:
        """Take the network's table of n-grams and its list of words' worths."""
        self._table: Floats = network.table.weight.detach().numpy()
        self._known = network.known.numpy().view(np.uint32)
        self._worths: Floats = network.worths.numpy()
        self._unknown = network.config.unknown
        self._spelled = lru_cache(maxsize=100_000)(self._spell)

    def rows(self, texts: Sequence[str]) -> Floats:
        """One unit row a word: (w, dim) float32."""
        if not texts:
            return np.zeros((0, self._table.shape[1]), dtype=np.float32)
        return np.stack([self._spelled(text) for text in texts])

    def worths(self, texts: Sequence[str]) -> Floats:
        """How much each word tells, from 0: (w,) float32."""
        return np.array([self._worth(text) for text in texts], dtype=np.float32)

    def _worth(self, word: str) -> float:
        hashed = np.uint32(crc32(word.encode()))
        place = int(np.searchsorted(self._known, hashed))
        if place < len(self._known) and self._known[place] == hashed:
            return float(self._worths[place])
        return self._unknown

    def _spell(self, word: str) -> Floats:
        total: Floats = self._table[list(words.grams(word, len(self._table)))].sum(0)
        unit: Floats = total / max(float(np.linalg.norm(total)), 1e-12)
        return unit


def worded(text: str, speller: Speller, *, most: int) -> Wording:
    """The first words of a question."""
    found = words.split(text)[:most]
    return Wording(speller.rows(found), speller.worths(found))


def seen(features: PageFeatures) -> Reading:
    """The words that the visual encoder read, line by line from the top.

    The last number of the encoder's rows, which says how little a word counts in late interaction, is left
    out: what remains, made unit again, is the word.
    """
    order = line_order(features.boxes)[:MOST_CELLS]
    cells = features.rows[order, :-1].astype(np.float32)
    cells /= np.maximum(np.linalg.norm(cells, axis=1, keepdims=True), 1e-6)
    return Reading(cells, np.ascontiguousarray(features.boxes[order], dtype=np.float32))


def written(text: str, speller: Speller) -> Reading:
    """The words of a page's text layer; where they stand is not known."""
    found = words.split(text)[:MOST_CELLS]
    return Reading(speller.rows(found), np.zeros((len(found), 4), dtype=np.float32))


def line_order(boxes: Floats) -> NDArray[np.int64]:
    """The order of boxes (n, 4) by line, then from left to right; a line is as high as a typical box."""
    if not len(boxes):
        return np.zeros(0, dtype=np.int64)
    middles = (boxes[:, 1] + boxes[:, 3]) / 2
    step = max(float(np.median(boxes[:, 3] - boxes[:, 1])), 1e-3)
    falling = np.argsort(middles, kind="stable")
    lines = np.zeros(len(boxes), dtype=np.int64)
    lines[falling[1:]] = np.cumsum(np.diff(middles[falling]) > 0.5 * step)
    order: NDArray[np.int64] = np.lexsort((boxes[:, 0], lines))
    return order


def beside(asked: Sequence[Wording], pages: Sequence[Reading], *, dim: int) -> Pairs:
    """Pad questions and pages to one batch; `asked` and `pages` are as many."""
    rows, there = _padded([one.rows for one in asked], dim)
    worth, _ = _padded([one.worth[:, None] for one in asked], 1)
    cells, shown = _padded([page.cells for page in pages], dim)
    boxes, _ = _padded([page.boxes for page in pages], 4)
    return Pairs(rows, worth.squeeze(-1), there, cells, boxes, shown)


def _padded(parts: Sequence[Floats], width: int) -> tuple[Tensor, Tensor]:
    longest = max(1, *(len(part) for part in parts), 1)
    rows = np.zeros((len(parts), longest, width), dtype=np.float32)
    there = np.zeros((len(parts), longest), dtype=bool)
    for place, part in enumerate(parts):
        rows[place, : len(part)] = part
        there[place, : len(part)] = True
    return torch.from_numpy(rows), torch.from_numpy(there)
