"""The algebra: a stage is a function from a run to a run, and three functions join them."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import reduce

from domain.page import Hit, Mark, PageId
from domain.run import Answer, Run, ranked

Stage = Callable[[Run], Run]


def then(*stages: Stage) -> Stage:
    """Run the stages one after another; `then()` changes nothing."""

    def joined(run: Run) -> Run:
        return reduce(lambda so_far, stage: stage(so_far), stages, run)

    return joined


def cut(k: int) -> Stage:
    """Keep the first k pages of each answer.

    Raises:
        ValueError: k is negative.
    """
    if k < 0:
        raise ValueError(f"cannot keep {k} pages; give a number from 0")

    def keep(run: Run) -> Run:
        return Run(tuple(replace(answer, hits=answer.hits[:k]) for answer in run.answers))

    return keep


def fuse(
    first: Stage, *rest: Stage, weights: Sequence[float] | None = None, smoothing: float = 60.0
) -> Stage:
    """Join the rankings of several arms by reciprocal rank; the order of the arms does not matter.

    A page's score is the exact sum over arms of `weight / (smoothing + rank)`, rank from 1; a page that an
    arm did not return gets nothing from it. Each hit keeps every arm's trace.

    Args:
        first: an arm.
        rest: more arms.
        weights: one finite, non-negative weight an arm; all 1 when absent.
        smoothing: how little the first ranks stand out; above 0.

    Raises:
        ValueError: the weights do not fit the arms, or the smoothing is not positive.

    Source: Cormack, Clarke & Buettcher, SIGIR 2009.
    """
    arms = (first, *rest)
    shares = tuple(weights) if weights is not None else (1.0,) * len(arms)
    if len(shares) != len(arms) or not all(math.isfinite(w) and w >= 0 for w in shares):
        raise ValueError(f"{len(arms)} arms need {len(arms)} weights from 0, not {shares}")
    if smoothing <= 0:
        raise ValueError(f"smoothing must be above 0, not {smoothing}")

    def fused(run: Run) -> Run:
        runs = [arm(run) for arm in arms]
        columns = zip(*(r.answers for r in runs), strict=True)
        return Run(tuple(_joined(answers, shares, smoothing) for answers in columns))

    return fused


def _joined(answers: Sequence[Answer], shares: Sequence[float], smoothing: float) -> Answer:
    parts: dict[PageId, list[float]] = {}
    traces: dict[PageId, set[Mark]] = {}
    for answer, share in zip(answers, shares, strict=True):
        for rank, hit in enumerate(answer.hits, start=1):
            parts.setdefault(hit.page, []).append(share / (smoothing + rank))
            traces.setdefault(hit.page, set()).update(hit.trace)
    return joined_answer(answers, ranked(_hits(parts, traces)))


def joined_answer(answers: Sequence[Answer], hits: tuple[Hit, ...]) -> Answer:
    """The answer with these hits, and the remarks and depths of all the answers that it was made of."""
    notes = tuple(sorted({note for answer in answers for note in answer.notes}))
    return Answer(answers[0].query, hits, notes=notes, depth=max(answer.depth for answer in answers))


def _hits(parts: Mapping[PageId, list[float]], traces: Mapping[PageId, set[Mark]]) -> list[Hit]:
    def order(mark: Mark) -> tuple[str, int]:
        return (mark.stage, mark.rank)

    return [
        Hit(page, math.fsum(scores), trace=tuple(sorted(traces[page], key=order)))
        for page, scores in parts.items()
    ]
