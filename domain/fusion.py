"""Fusion by weighted, normalised scores: the other way to join arms, beside `fuse` by reciprocal rank."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from domain.page import Hit, Mark, PageId
from domain.run import Answer, Run, ranked
from domain.stage import Stage, joined_answer

Normalise = Callable[[Sequence[float]], tuple[float, ...]]
"""Puts one arm's scores of one query on a common scale; keeps their order."""


def minmax(scores: Sequence[float]) -> tuple[float, ...]:
    """Stretch scores to [0, 1]: the worst becomes 0, the best 1; equal scores all become 1."""
    if not scores:
        return ()
    low, high = min(scores), max(scores)
    if not low < high:
        return (1.0,) * len(scores)
    return tuple((score - low) / (high - low) for score in scores)


def standardised(scores: Sequence[float]) -> tuple[float, ...]:
    """Shift and scale scores to mean 0 and deviation 1; equal scores all become 0."""
    if not scores:
        return ()
    values = np.asarray(scores, dtype=np.float64)
    spread = float(values.std())
    if spread == 0.0 or values.min() == values.max():  # equal values may show a spread of rounding errors
        return (0.0,) * len(scores)
    return tuple(((values - values.mean()) / spread).tolist())


def fuse_scores(
    first: Stage, *rest: Stage, weights: Sequence[float] | None = None, normalise: Normalise = minmax
) -> Stage:
    """Join the rankings of several arms by their scores; the order of the arms does not matter.

    A page's score is the exact sum over arms of `weight * normalised score`. Scores are normalised among
    the pages that the arm returned for this query; a page that an arm did not return gets the arm's lowest,
    or 0 if that is lower. Each hit keeps every arm's trace.

    Args:
        first: an arm.
        rest: more arms.
        weights: one finite, non-negative weight an arm; all 1 when absent.
        normalise: `minmax` or `standardised`.

    Raises:
        ValueError: the weights do not fit the arms.

    Source: Bruch, Gai & Ingber, ACM TOIS 42(1), 2023 (convex combination).
    """
    arms = (first, *rest)
    shares = tuple(weights) if weights is not None else (1.0,) * len(arms)
    if len(shares) != len(arms) or not all(math.isfinite(w) and w >= 0 for w in shares):
        raise ValueError(f"{len(arms)} arms need {len(arms)} weights from 0, not {shares}")

    def fused(run: Run) -> Run:
        columns = zip(*(arm(run).answers for arm in arms), strict=True)
        return Run(tuple(_joined(answers, shares, normalise) for answers in columns))

    return fused


def _joined(answers: Sequence[Answer], shares: Sequence[float], normalise: Normalise) -> Answer:
    scales = [_scale(answer, normalise) for answer in answers]
    floors = [min((0.0, *scale.values())) for scale in scales]
    marks: dict[PageId, set[Mark]] = {}
    for answer in answers:
        for hit in answer.hits:
            marks.setdefault(hit.page, set()).update(hit.trace)
    hits = [
        Hit(page, _total(page, scales, floors, shares), trace=tuple(sorted(marks[page], key=_order)))
        for page in marks
    ]
    return joined_answer(answers, ranked(hits))


def _scale(answer: Answer, normalise: Normalise) -> dict[PageId, float]:
    scores = normalise([hit.score for hit in answer.hits])
    return dict(zip((hit.page for hit in answer.hits), scores, strict=True))


def _total(
    page: PageId, scales: Sequence[dict[PageId, float]], floors: Sequence[float], shares: Sequence[float]
) -> float:
    return math.fsum(
        share * scale.get(page, floor) for scale, floor, share in zip(scales, floors, shares, strict=True)
    )


def _order(mark: Mark) -> tuple[str, int, float]:
    return (mark.stage, mark.rank, mark.score)
