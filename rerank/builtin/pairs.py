"""From a question and pages to the padded batch that the network reads."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from domain import words
from rerank.builtin.signals import Pairs
from rerank.builtin.spelling import Floats, Speller
from rerank.reranker import PageFeatures

FAINT = 0.02
"""A row shorter than this without its last two numbers shows no word."""

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


def worded(text: str, speller: Speller, *, most: int) -> Wording:
    """The first words of a question."""
    found = words.split(text)[:most]
    return Wording(speller.rows(found), speller.worths(found))


def seen(features: PageFeatures) -> Reading:
    """The words that the visual encoder read, line by line from the top.

    The encoder's rows end in two numbers of its own bookkeeping, which stand for no part of a word, and one row
    is nothing else; without them, made unit again, a row is the word.
    """
    cells = np.pad(features.rows[:, :-2].astype(np.float32), ((0, 0), (0, 1)))
    lengths = np.linalg.norm(cells, axis=1)
    kept = np.flatnonzero(lengths > FAINT)
    kept = kept[line_order(features.boxes[kept])][:MOST_CELLS]
    cells = cells[kept] / lengths[kept, None]
    return Reading(cells, np.ascontiguousarray(features.boxes[kept], dtype=np.float32))


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
