"""Rankings: one order for everything, and the run that travels through the stages."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from domain.page import Hit, Mark, PageId, Query


@dataclass(frozen=True, slots=True)
class Answer:
    """A query and its ranked pages, best first.

    Attributes:
        notes: remarks of the stages that a person should read, such as why the reranker was not asked.
        depth: how many pages, from the top, a reranker has read.
    """

    query: Query
    hits: tuple[Hit, ...] = ()
    notes: tuple[str, ...] = ()
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Run:
    """Answers to a batch of queries, in the order in which they were asked."""

    answers: tuple[Answer, ...]

    @classmethod
    def ask(cls, *queries: Query) -> "Run":
        """A run of these queries with nothing found yet."""
        return cls(tuple(Answer(query) for query in queries))


def ranked(hits: Iterable[Hit]) -> tuple[Hit, ...]:
    """Order hits by falling score, then by falling page id: the only place that orders.

    Raises:
        ValueError: a page stands twice, or a score is not finite.
    """
    found = tuple(hits)
    seen: set[PageId] = set()
    for hit in found:
        if hit.page in seen:
            raise ValueError(f"page {hit.page} stands twice in one ranking")
        if not math.isfinite(hit.score):
            raise ValueError(f"the score of page {hit.page} is not finite: {hit.score}")
        seen.add(hit.page)
    return tuple(sorted(found, key=lambda hit: (hit.score, hit.page), reverse=True))


def falling(scores: Iterable[float]) -> tuple[float, ...]:
    """The same scores, each lowered by as little as it takes to stand strictly below the one before.

    A stage that decides an order by more than the scores (ties by earlier rank, diversity) writes these, so
    that `ranked` would give the same order again.
    """
    lowered: list[float] = []
    for score in scores:
        bound = math.nextafter(lowered[-1], -math.inf) if lowered else math.inf
        lowered.append(min(score, bound))
    return tuple(lowered)


def marked(hits: tuple[Hit, ...], stage: str) -> tuple[Hit, ...]:
    """Write each hit's rank and score into its trace under the stage's name."""
    return tuple(
        replace(hit, trace=(*hit.trace, Mark(stage, rank, hit.score)))
        for rank, hit in enumerate(hits, start=1)
    )


def marked_once(hits: tuple[Hit, ...], stage: str, scores: Mapping[PageId, float]) -> tuple[Hit, ...]:
    """Write ranks and these scores under the stage's name into the traces of their pages that lack its mark."""

    def due(hit: Hit) -> bool:
        return hit.page in scores and all(mark.stage != stage for mark in hit.trace)

    return tuple(
        replace(hit, trace=(*hit.trace, Mark(stage, rank, scores[hit.page]))) if due(hit) else hit
        for rank, hit in enumerate(hits, start=1)
    )
