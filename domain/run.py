"""Rankings: one order for everything, and the run that travels through the stages."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from domain.page import Hit, Mark, PageId, Query


@dataclass(frozen=True, slots=True)
class Answer:
    """A query and its ranked pages, best first."""

    query: Query
    hits: tuple[Hit, ...] = ()


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


def marked(hits: tuple[Hit, ...], stage: str) -> tuple[Hit, ...]:
    """Write each hit's rank and score into its trace under the stage's name."""
    return tuple(
        replace(hit, trace=(*hit.trace, Mark(stage, rank, hit.score)))
        for rank, hit in enumerate(hits, start=1)
    )
