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
        rows: the most rows that a page keeps.
    """

    saturation: float = 0.9
    length_share: float = 0.75
    typical_words: float = 300.0
    alike: float = 0.8
    rarity: float = 0.15
    rows: int = 512


def weighed(seen: Seen, weighing: Weighing) -> Vectors:
    """Turn seen words into unit rows whose last dimension takes up what a word does not count.

    A word's row is (a * v, sqrt(1 - a^2)), where a is BM25's factor of term frequency and page length, in
    (0, 1), and v the word's vector. Queries are zero in the last dimension, so their inner product with the
    row is a * (q . v): plain MaxSim over unit rows scores pages by a soft BM25.

    Source: Robertson & Zaragoza, 2009, for the factor.
    """
    found = seen.vectors
    dim = found.shape[1] + 1
    if not len(found):
        return Vectors(np.zeros((0, dim), np.float32), boxes=np.zeros((0, 4), np.float32))
    same = found @ found.T
    times = np.clip((same - weighing.alike) / (1 - weighing.alike), 0, 1).sum(1).clip(1.0)
    share = weighing.length_share
    longer = 1 - share + share * len(found) / weighing.typical_words
    factor = (times / (times + weighing.saturation * longer)).astype(np.float32)
    keep = _chosen(seen, same, weighing)
    rows = np.concatenate([found * factor[:, None], np.sqrt(1 - factor**2)[:, None]], axis=1)[keep]
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return Vectors(rows.astype(np.float32), boxes=seen.boxes[keep].astype(np.float32))


def _chosen(seen: Seen, same: Floats, weighing: Weighing) -> NDArray[np.intp]:
    keep = np.flatnonzero(seen.rarity >= weighing.rarity)
    if not len(keep):
        keep = np.argsort(-seen.rarity, kind="stable")[:1]
    if len(keep) > weighing.rows:
        again = np.triu(same[np.ix_(keep, keep)] > 1 - (1 - weighing.alike) / 4, 1).any(0)
        order = np.lexsort((-seen.rarity[keep], again))
        keep = np.sort(keep[order[: weighing.rows]])
    return keep
