"""From the words seen on a page to its stored rows: repeated words count more, words of long pages less."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieve.builtin.reading import Seen
from retrieve.encoder import Floats, Vectors


@dataclass(frozen=True, slots=True)
class Weighing:
    """How a page's rows are weighed and chosen.

    Attributes:
        saturation, length_share, typical_words: k1, b and the mean length of BM25.
        alike: two vectors at least this similar show the same word.
        rarity: rows that look less rare than this (stop words) are dropped.
        rows: the most words that a page keeps; the floor comes on top.
    """

    saturation: float = 1.0
    length_share: float = 0.9
    typical_words: float = 400.0
    alike: float = 0.7
    rarity: float = 0.2
    rows: int = 511


def weighed(seen: Seen, weighing: Weighing) -> Vectors:
    """Turn seen words into unit rows, so that plain MaxSim over them is a soft BM25 with a floor.

    A word's row is (a * v, sqrt(2a - 2a^2), 1 - a) where v is the word's vector, the last of its own numbers
    always 0 and overwritten by the second term, and a is BM25's factor of term frequency and page length, in
    (0, 1). One more row, (0, 0, 1) with an empty box, is the floor. A query token is (k * w, 0, c) with
    c = k * f, so a word's row gives it c + k * a * (v . w - f) and the floor row c: the best of them is
    c + k * a * max(0, v . w - f). A word that the page lacks adds nothing, however many words the page has; a page
    on which no word was seen has its floor alone.

    Source: Robertson & Zaragoza, 2009, for the factor.
    """
    found = seen.vectors
    dim = found.shape[1] + 1
    same = found @ found.T
    factor = _factor(same, weighing)
    keep = _chosen(seen, same, weighing)
    rows = np.zeros((len(keep) + 1, dim), np.float32)
    rows[:-1, :-2] = (found * factor[:, None])[keep, :-1]
    rows[:-1, -2] = np.sqrt(2 * factor - 2 * factor**2)[keep]
    rows[:-1, -1] = (1 - factor)[keep]
    rows[-1, -1] = 1.0
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    boxes = np.concatenate([seen.boxes[keep], np.zeros((1, 4), np.float32)]).astype(np.float32)
    return Vectors(rows, boxes=boxes)


def _factor(same: Floats, weighing: Weighing) -> Floats:
    times = np.clip((same - weighing.alike) / (1 - weighing.alike), 0, 1).sum(1).clip(1.0)
    share = weighing.length_share
    longer = 1 - share + share * len(same) / weighing.typical_words
    factor: Floats = (times / (times + weighing.saturation * longer)).astype(np.float32)
    return factor


def _chosen(seen: Seen, same: Floats, weighing: Weighing) -> NDArray[np.intp]:
    keep = np.flatnonzero(seen.rarity >= weighing.rarity)
    if not len(keep):
        keep = np.argsort(-seen.rarity, kind="stable")[:1]
    if len(keep) > weighing.rows:
        again = np.triu(same[np.ix_(keep, keep)] > 1 - (1 - weighing.alike) / 4, 1).any(0)
        order = np.lexsort((-seen.rarity[keep], again))
        keep = np.sort(keep[order[: weighing.rows]])
    return keep
