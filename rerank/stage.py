"""The second stage: the reranker reads the top of a ranking again and reorders it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile

from domain.errors import ModelError
from domain.fusion import standardised
from domain.page import Hit, Mark, PageId
from domain.run import Answer, Run, falling
from domain.stage import Stage
from rerank.budget import Budget
from rerank.calibration import Calibration
from rerank.reranker import Candidate, Reranker

Load = Callable[[PageId], Candidate]

MARK = "rerank"
"""The stage's name in a hit's trace; a second reranker behind the first writes `rerank 2`."""

CAREFUL = 0.9
"""A batch starts only if it would end in time at this quantile of the batches timed before."""

FIRST_BATCH = 4
"""Pairs in the very first batch of a model whose cost nobody knows yet."""


def rerank(
    reranker: Reranker,
    load: Load,
    *,
    depth: int | None = None,
    budget: Budget | None = None,
    blend: float | None = None,
    calibration: Calibration | None = None,
) -> Stage:
    """Reorder the top of each ranking by the reranker's score; what lies beneath keeps its order there.

    Raw logits are ranked, ties by the rank before. Each hit read gets a mark with its rank and its raw logit.
    Scores of the result fall strictly, so they compare within it and with nothing else.

    Args:
        reranker: the cross-encoder.
        load: gives the candidate of a page; a page that is not read is never loaded.
        depth: read at most this many pages; None: as many as there are, or as the budget allows.
        budget: stop in time: pages that cannot be read before the deadline keep their earlier order. With
            several queries in a run, each has the budget for itself, less its share of the time spent before.
        blend: weight in [0, 1] of the earlier score; both scores are standardised among the pages read.
            None or 0: the reranker alone; 1: the earlier order.
        calibration: sets probabilities, if it was fitted for this very reranker.

    Raises:
        ValueError: depth is negative or blend outside [0, 1].
        ModelError: (the stage) a score is not finite, or there are not as many scores as pages.
    """
    if depth is not None and depth < 0:
        raise ValueError(f"cannot rerank {depth} pages; give a number from 0")
    if blend is not None and not 0.0 <= blend <= 1.0:
        raise ValueError(f"the blend is a weight from 0 to 1, not {blend}")
    reader = _Reader(reranker, load, depth=depth, budget=budget)
    usable = calibration if calibration is not None and calibration.fits(reranker.fingerprint) else None
    warning = () if calibration is usable else (stale(calibration, reranker),) if calibration else ()

    def reranked(run: Run) -> Run:
        share_ms = budget.deadline.spent_ms / max(len(run.answers), 1) if budget else 0.0
        answers = []
        for answer in run.answers:
            read = reader.read(answer, spent_ms=share_ms)
            hits = _reordered(answer.hits, read.logits, blend=blend or 0.0, calibration=usable)
            answers.append(
                replace(
                    answer,
                    hits=hits,
                    notes=(*answer.notes, *read.notes, *warning),
                    depth=max(answer.depth, len(read.logits)),
                )
            )
        return Run(tuple(answers))

    return reranked


def stale(calibration: Calibration, reranker: Reranker) -> str:
    """The remark on a calibration that belongs to another model than the one in use."""
    return (
        f"no probabilities: the stored calibration was fitted for {calibration.model}, not for "
        f"{reranker.name} as it is now; run `recto calibrate` again"
    )


@dataclass(frozen=True, slots=True)
class _Read:
    """Raw logits of the first pages of an answer, and what a person should know."""

    logits: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Reader:
    """Scores the top of one answer, batch by batch, until depth or deadline."""

    reranker: Reranker
    load: Load
    depth: int | None = field(kw_only=True)
    budget: Budget | None = field(kw_only=True)

    def read(self, answer: Answer, *, spent_ms: float) -> _Read:
        pages = [hit.page for hit in answer.hits[: self.depth]]
        if not pages:
            return _Read()
        if self.budget is None:
            return _Read(self._scores(answer.query.whole, pages))
        logits = self._in_time(answer.query.whole, pages, budget=self.budget, spent_ms=spent_ms)
        before = "after the reranker before" if answer.depth else "after the first stage"
        return _Read(logits, _said(len(logits), len(pages), self.budget.deadline.budget_ms, before))

    def _in_time(
        self, query: str, pages: Sequence[PageId], *, budget: Budget, spent_ms: float
    ) -> tuple[float, ...]:
        clock, logits = budget.deadline.clock, list[float]()
        started = clock()
        while len(logits) < len(pages):
            spent_here_ms = (clock() - started) * 1000.0
            left_ms = budget.deadline.budget_ms - budget.reserve_ms - spent_ms - spent_here_ms
            size, alike = _alike(pages[len(logits) : len(logits) + budget.batch], budget.size_of)
            batch = alike[: self._affordable(size, budget=budget, left_ms=left_ms)]
            if not batch:
                break
            begun = clock()
            logits += self._scores(query, batch)
            elapsed_ms = max(0.0, (clock() - begun) * 1000.0)
            budget.cost.observe(self.reranker.fingerprint, size, pairs=len(batch), elapsed_ms=elapsed_ms)
        return tuple(logits)

    def _affordable(self, size: str, *, budget: Budget, left_ms: float) -> int:
        """Pairs that the next batch may hold, so that it ends in time."""
        if left_ms <= 0:
            return 0
        cost = budget.cost.ms_per_pair(self.reranker.fingerprint, size, quantile=CAREFUL)
        if cost is None:
            return min(FIRST_BATCH, budget.batch)
        return min(budget.batch, int(left_ms / max(cost, 1e-6)))

    def _scores(self, query: str, pages: Sequence[PageId]) -> tuple[float, ...]:
        scores = self.reranker.scores(query, [self.load(page) for page in pages])
        if len(scores) != len(pages):
            raise ModelError(
                f"{self.reranker.name} gave {len(scores)} scores for {len(pages)} pages; choose another"
            )
        for page, score in zip(pages, scores, strict=True):
            if not math.isfinite(score):
                raise ModelError(
                    f"{self.reranker.name} gave page {page} the score {score}, which ranks nothing; "
                    "check its weights and number format, or search with --rerank off"
                )
        return tuple(float(score) for score in scores)


def _alike(pages: Sequence[PageId], size_of: Callable[[PageId], str]) -> tuple[str, Sequence[PageId]]:
    """The size class of the first page, and the pages up to the first of another class."""
    size = size_of(pages[0])
    return size, tuple(takewhile(lambda page: size_of(page) == size, pages))


def _said(read: int, wanted: int, budget_ms: float, before: str) -> tuple[str, ...]:
    if read == 0:
        return (f"not reranked: {budget_ms:g} ms leave no time for a single page {before}",)
    if read < wanted:
        return (
            f"reranked {read} of {wanted} pages within {budget_ms:g} ms; the rest keep their first order",
        )
    return ()


def _reordered(
    hits: tuple[Hit, ...], logits: Sequence[float], *, blend: float, calibration: Calibration | None
) -> tuple[Hit, ...]:
    """The hits read, by their new score, above the others in their old order."""
    if not logits:
        return hits
    top, rest = hits[: len(logits)], hits[len(logits) :]
    scores = _blended([hit.score for hit in top], logits, blend=blend)
    order = sorted(range(len(top)), key=lambda at: (-scores[at], at))
    by_logit = sorted(range(len(top)), key=lambda at: (-logits[at], at))
    chances = calibration.probabilities(logits) if calibration else (None,) * len(logits)
    ranks = {at: rank for rank, at in enumerate(by_logit, start=1)}
    read = [
        replace(
            top[at],
            probability=chances[at] if calibration else top[at].probability,
            trace=(*top[at].trace, Mark(_mark(top[at]), ranks[at], logits[at])),
        )
        for at in order
    ]
    floor, ceiling = scores[order[-1]], rest[0].score if rest else 0.0
    lowered = falling([scores[at] for at in order] + [floor - (ceiling - hit.score) for hit in rest])
    return tuple(replace(hit, score=score) for hit, score in zip((*read, *rest), lowered, strict=True))


def _blended(earlier: Sequence[float], logits: Sequence[float], *, blend: float) -> tuple[float, ...]:
    if blend == 0.0:
        return tuple(logits)
    pairs = zip(standardised(earlier), standardised(logits), strict=True)
    return tuple(blend * old + (1.0 - blend) * new for old, new in pairs)


def _mark(hit: Hit) -> str:
    times = sum(mark.stage == MARK or mark.stage.startswith(f"{MARK} ") for mark in hit.trace)
    return MARK if times == 0 else f"{MARK} {times + 1}"
