"""The third stage: caps, diversity, near-duplicates and boosts, each a stage of its own."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from domain.fusion import minmax
from domain.page import Hit, PageId, document_of
from domain.run import Answer, Run, falling, marked
from domain.stage import Stage

Similarities = Callable[[Sequence[PageId]], NDArray[np.float32]]
"""Gives the (n, n) similarity of n pages, in [-1, 1], symmetric, 1 on the diagonal."""


def cap_documents(most: int) -> Stage:
    """Keep at most this many pages of a document; a query within one document is left alone.

    Raises:
        ValueError: the cap is below 1.
    """
    if most < 1:
        raise ValueError(f"at least one page of a document must remain, not {most}")

    def capped(answer: Answer) -> Answer:
        within = answer.query.within
        if within is not None and len(within) == 1:
            return answer
        seen: Counter[str] = Counter()
        kept: list[Hit] = []
        for hit in answer.hits:
            seen[document_of(hit.page)] += 1
            if seen[document_of(hit.page)] <= most:
                kept.append(hit)
        return replace(answer, hits=tuple(kept))

    return _each(capped)


def spread(similarities: Similarities, *, relevance: float = 0.7, depth: int = 50) -> Stage:
    """Reorder the top by maximal marginal relevance: each next page is relevant and unlike those above it.

    Args:
        similarities: of pages; asked once an answer, for its first `depth` pages.
        relevance: weight in [0, 1] of the ranking (stretched to [0, 1]) against likeness; 1 changes nothing.
        depth: pages from the top that take part; the rest keep their order beneath.

    Raises:
        ValueError: the weight is outside [0, 1], or depth is negative.

    Source: Carbonell & Goldstein, SIGIR 1998.
    """
    if not 0.0 <= relevance <= 1.0 or depth < 0:
        raise ValueError(f"the weight lies in [0, 1] and depth is from 0, not {relevance} and {depth}")

    def spread_out(answer: Answer) -> Answer:
        top, rest = answer.hits[:depth], answer.hits[depth:]
        if len(top) < 2:
            return answer
        order = _marginal(
            np.asarray(minmax([hit.score for hit in top])),
            np.asarray(similarities([hit.page for hit in top]), dtype=np.float64),
            weight=relevance,
        )
        scores = falling(hit.score for hit in (*top, *rest))
        hits = (*(top[at] for at in order), *rest)
        moved = tuple(replace(hit, score=score) for hit, score in zip(hits, scores, strict=True))
        return replace(answer, hits=(*marked(moved[: len(top)], "spread"), *moved[len(top) :]))

    return _each(spread_out)


def fold(similarities: Similarities, *, threshold: float = 0.98, depth: int = 50) -> Stage:
    """Drop, among the first `depth` pages, each that nearly repeats one above it; the answer says how many.

    Raises:
        ValueError: the threshold is outside [-1, 1], or depth is negative.
    """
    if not -1.0 <= threshold <= 1.0 or depth < 0:
        raise ValueError(f"likeness lies in [-1, 1] and depth is from 0, not {threshold} and {depth}")

    def folded(answer: Answer) -> Answer:
        top, rest = answer.hits[:depth], answer.hits[depth:]
        if len(top) < 2:
            return answer
        alike = np.asarray(similarities([hit.page for hit in top])) >= threshold
        kept: list[int] = []
        for at in range(len(top)):
            if not alike[at, kept].any():
                kept.append(at)
        if len(kept) == len(top):
            return answer
        note = f"{len(top) - len(kept)} near-duplicate pages folded"
        hits = (*(top[at] for at in kept), *rest)
        return replace(answer, hits=hits, notes=(*answer.notes, note))

    return _each(folded)


def boost(value: Callable[[PageId], float]) -> Stage:
    """Add to each page's score, stretched to [0, 1], a value of its fields; equal values change no order.

    Args:
        value: finite; 1 lifts the last page of a ranking level with the first.
    """

    def boosted(answer: Answer) -> Answer:
        base = minmax([hit.score for hit in answer.hits])
        lifted = [score + value(hit.page) for score, hit in zip(base, answer.hits, strict=True)]
        order = sorted(range(len(lifted)), key=lambda at: (-lifted[at], at))
        scores = falling(lifted[at] for at in order)
        hits = tuple(replace(answer.hits[at], score=s) for at, s in zip(order, scores, strict=True))
        return replace(answer, hits=marked(hits, "boost"))

    return _each(boosted)


def _marginal(relevance: NDArray[np.float64], alike: NDArray[np.float64], *, weight: float) -> list[int]:
    left = list(range(len(relevance)))
    chosen: list[int] = []
    nearest = np.full(len(relevance), 0.0)
    while left:
        gains = weight * relevance[left] - (1.0 - weight) * nearest[left]
        best = left.pop(int(np.argmax(gains)))  # argmax takes the first, so ties keep their order
        nearest = np.maximum(nearest, alike[best]) if chosen else alike[best].copy()
        chosen.append(best)
    return chosen


def _each(change: Callable[[Answer], Answer]) -> Stage:
    def stage(run: Run) -> Run:
        return Run(tuple(change(answer) for answer in run.answers))

    return stage
