"""From vectors that FAISS found to the pages that own them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from retrieve.encoder import Floats, Vectors
from retrieve.maxsim import token_weights

Uids = NDArray[np.int64]


@dataclass(frozen=True)
class PageTable:
    """Which vectors are whose.

    Attributes:
        pages: (pages,) uids, ascending.
        bounds: (pages + 1,) the first vector of each page, then the end.
    """

    pages: Uids
    bounds: Uids

    @classmethod
    def empty(cls) -> "PageTable":
        """No pages."""
        return cls(np.zeros(0, dtype=np.int64), np.zeros(1, dtype=np.int64))

    @cached_property
    def owners(self) -> Uids:
        """(rows,) the page of each vector."""
        return np.repeat(self.pages, np.diff(self.bounds))

    def firsts(self, count: int) -> NDArray[np.bool_]:
        """(rows,) which vectors are among the first `count` of their page."""
        lengths = np.diff(self.bounds)
        return np.arange(self.bounds[-1]) - np.repeat(self.bounds[:-1], lengths) < count

    def extended(self, pages: Uids, lengths: Sequence[int] | Uids) -> "PageTable":
        """With more pages behind."""
        ends = self.bounds[-1] + np.cumsum(lengths, dtype=np.int64)
        return PageTable(np.concatenate([self.pages, pages]), np.concatenate([self.bounds, ends]))


def gathered(query: Vectors, scores: Floats, owners: Uids) -> tuple[Uids, NDArray[np.float64]]:
    """Join the vectors found for each query token into pages.

    A page counts with its best vector for each token; where a token did not reach it, with the last score
    that the token saw, which no vector that was looked at and left out exceeds.

    Args:
        query: its weights count.
        scores: (q, depth) falling, as FAISS returns them.
        owners: (q, depth) the page of each vector; -1 where nothing was found.

    Returns:
        The pages found, ascending, and their scores.
    """
    real = owners >= 0
    found = owners[real]
    first = int(found.min()) if len(found) else 0
    found = found - first
    there = np.zeros(int(found.max(initial=-1)) + 1, dtype=bool)
    there[found] = True
    seen = np.flatnonzero(there)
    place = np.zeros(len(there), dtype=np.int64)
    place[seen] = np.arange(len(seen))
    last = np.where(real, scores, np.inf).min(axis=1)
    best = np.repeat(np.where(np.isfinite(last), last, -1.0).astype(np.float32), len(seen))
    np.maximum.at(best, np.nonzero(real)[0] * len(seen) + place[found], scores[real])
    return seen + first, token_weights(query.rows, query.weights) @ best.reshape(len(last), len(seen))


def settled(query: Vectors, scores: Floats, totals: NDArray[np.float64], *, wanted: int) -> bool:
    """Whether no page that was not found can tie with the best `wanted` of those that were.

    Args:
        query: its weights count.
        scores: (q, depth) falling, as FAISS returned them.
        totals: the found pages' scores.
        wanted: how many pages are asked for; at least 1.
    """
    if len(totals) < wanted:
        return False
    unseen = scores.min(axis=1).astype(np.float64) @ token_weights(query.rows, query.weights)
    return bool(np.partition(totals, -wanted)[-wanted] > unseen + 1e-6)
