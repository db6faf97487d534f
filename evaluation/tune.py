"""Finds the configuration that earns its milliseconds on labelled questions; "no reranker" is one of them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from evaluation.measures import recall_by_depth
from evaluation.recording import NO_RERANKER, Recording
from evaluation.statistics import Difference, Figure, difference, figure
from evaluation.sweep import GOAL, SCORED, Choice, Outcome, Places, Sweep, front, fusions, rerankings
from library.settings import Settings

DEPTHS = (5, 10, 20, 30, 50, 100)
BLENDS = (0.0, 0.25, 0.5, 0.75)
MARGINS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
WORST_LOSS = 0.01
"""Skipping the reranker on clear questions may cost this much nDCG@10 at the lower end of its interval."""


@dataclass(frozen=True, slots=True)
class Row:
    """One configuration in the table; milliseconds are recorded times of its arms and pairs, added up."""

    name: str
    measures: dict[str, float]
    p50_ms: float
    p95_ms: float
    on_front: bool


@dataclass(frozen=True, slots=True)
class Step:
    """What going from one configuration to the next changed in nDCG@10, and what it cost."""

    before: str
    after: str
    change: Difference
    ms: float


@dataclass(frozen=True, slots=True)
class Skip:
    """Skipping the reranker above a margin: the share of questions that skip, and the change in nDCG@10."""

    margin: float
    skipped: float
    change: Difference


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """Why reranking costs what it costs.

    Attributes:
        pages: of the corpus; a reranker over all of them would need `pages` pairs a question.
        affordable: floor((budget - first stage) / ms a pair); None without a budget.
    """

    pages: int
    first_ms: float
    ms_per_pair: float
    budget_ms: float | None
    affordable: int | None
    every_page_ms: float


@dataclass(frozen=True, slots=True)
class Tuning:
    """What was found.

    Attributes:
        recommended: the configuration to use; `reason` says why, in a sentence.
        unseen: nDCG@10 on questions about documents that the choice was not made on: of the equal-weight
            fusion, of the chosen first stage, and of the chosen pipeline; and the two lifts between them.
    """

    questions: int
    recommended: Choice
    reason: str
    unseen: dict[str, Figure]
    lifts: tuple[Step, ...]
    table: tuple[Row, ...]
    steps: tuple[Step, ...]
    skips: tuple[Skip, ...]
    arithmetic: tuple[Arithmetic, ...]
    recall: dict[str, tuple[float, ...]]
    unread: int


def tune(recording: Recording, settings: Settings, *, budget_ms: float | None = None) -> Tuning:
    """Sweep fusion, then reranker, depth and blend; judge each choice on documents it was not made on.

    The first stage is chosen among all mixes of arms; the reranker among all depths and blends behind it that
    fit the budget. It is recommended only if its lift on unseen documents is above zero with 95% confidence.

    Args:
        recording: rankings and readings of the labelled questions.
        settings: what is not swept.
        budget_ms: milliseconds that 95% of the questions must keep; None: any.
    """
    sweep = Sweep(recording, settings)
    mixes = fusions(tuple(recording.arms))
    equal = Choice(tuple(recording.arms), (1.0,) * len(recording.arms))

    def first(places: Places | None) -> Choice:
        return sweep.best(mixes, places)

    def whole(places: Places | None) -> Choice:
        chosen = first(places)
        rest = _affordable(sweep, chosen, budget_ms)
        return sweep.best((chosen, *rest), places)

    base, one, two = (sweep.outcome(equal).values, sweep.unseen(first), sweep.unseen(whole))
    start, final = first(None), whole(None)
    cost = sweep.outcome(final).latency.p50 - sweep.outcome(start).latency.p50
    lifts = (
        Step("equal weights", "chosen first stage", difference(base[GOAL], one[GOAL]), 0.0),
        Step("chosen first stage", "chosen pipeline", difference(one[GOAL], two[GOAL]), cost),
    )
    recommended, reason = _verdict(start, final, lifts[1], recording, budget_ms)
    skips = _skips(sweep, recommended)
    return Tuning(
        questions=len(recording.ids),
        recommended=_skipping(recommended, skips),
        reason=reason,
        unseen={
            "equal weights": figure(base[GOAL]),
            "chosen first stage": figure(one[GOAL]),
            "chosen pipeline": figure(two[GOAL]),
        },
        lifts=lifts,
        table=_table(sweep, (equal, start, final)),
        steps=_steps(sweep, final if final.depth else None, start),
        skips=skips,
        arithmetic=_arithmetic(sweep, start, budget_ms),
        recall=_recall(sweep, start),
        unread=sum(outcome.unread for outcome in sweep.outcomes),
    )


def _affordable(sweep: Sweep, first: Choice, budget_ms: float | None) -> list[Choice]:
    names = tuple(sweep.recording.readings)
    choices = rerankings(first, names, DEPTHS, BLENDS)
    if budget_ms is None:
        return list(choices)
    return [choice for choice in choices if sweep.outcome(choice).latency.p95 <= budget_ms]


def _verdict(
    first: Choice, whole: Choice, lift: Step, recording: Recording, budget_ms: float | None
) -> tuple[Choice, str]:
    if not recording.readings:
        return first, "no reranker was recorded"
    if not whole.depth:
        within = "" if budget_ms is None else f" within {budget_ms:g} ms"
        return first, f"no reranker: no depth and blend{within} is better than the first stage alone"
    found = lift.change.mean
    low = found.interval.low if found.interval else found.mean
    said = f"on unseen documents reranking changes nDCG@10 by {found.mean:+.3f}"
    if found.interval:
        said += f" [{found.interval.low:+.3f}, {found.interval.high:+.3f}]"
    if low <= 0:
        return first, f"no reranker: {said}, which may be chance, for {lift.ms:.0f} ms more"
    return whole, f"rerank: {said}, for {lift.ms:.0f} ms more"


def _skips(sweep: Sweep, choice: Choice) -> tuple[Skip, ...]:
    """What each margin saves and costs, behind the recommended reranker."""
    if not choice.depth:
        return ()
    full = sweep.outcome(choice)
    skips = []
    for margin in MARGINS:
        outcome = sweep.outcome(replace(choice, skip_margin=margin))
        same = float(np.mean(outcome.ms < full.ms - 1e-9))
        skips.append(Skip(margin, same, difference(full.values[GOAL], outcome.values[GOAL])))
    return tuple(skips)


def _skipping(choice: Choice, skips: Sequence[Skip]) -> Choice:
    """The choice with the smallest margin that loses nothing on average and little at worst."""
    for skip in skips:
        found = skip.change.mean
        low = found.interval.low if found.interval else found.mean
        if skip.skipped > 0 and found.mean >= 0 and low >= -WORST_LOSS:
            return replace(choice, skip_margin=skip.margin)
    return choice


def _table(sweep: Sweep, named: Sequence[Choice]) -> tuple[Row, ...]:
    """The named choices, every arm alone, every depth behind the first stage, and the Pareto front."""
    best = front(sweep.outcomes)
    shown = [sweep.outcome(choice) for choice in named]
    shown += [o for o in sweep.outcomes if len(o.choice.arms) == 1 and not o.choice.depth]
    shown += [o for o in sweep.outcomes if o.choice.depth and _plain(o.choice, named[-1])]
    rows = {o.choice: _row(o, on_front=o in best) for o in (*shown, *best)}
    return tuple(sorted(rows.values(), key=lambda row: row.p50_ms))


def _plain(choice: Choice, final: Choice) -> bool:
    """Whether it differs from the final choice in depth alone, or reranks without blend."""
    return not choice.skip_margin and choice.arms == final.arms and choice.blend in {0.0, final.blend}


def _row(outcome: Outcome, *, on_front: bool) -> Row:
    latency = outcome.latency
    measures = {name: float(values.mean()) for name, values in outcome.values.items()}
    return Row(outcome.choice.name, measures, latency.p50, latency.p95, on_front)


def _steps(sweep: Sweep, final: Choice | None, first: Choice) -> tuple[Step, ...]:
    """The marginal lift of every step deeper, with the final blend or none."""
    steps = []
    for name in sweep.recording.readings:
        blend = final.blend if final and final.reranker == name else 0.0
        walk = [first, *(replace(first, reranker=name, depth=depth, blend=blend) for depth in DEPTHS)]
        for before, after in pairwise(walk):
            a, b = sweep.outcome(before), sweep.outcome(after)
            steps.append(
                Step(
                    f"{name} to {before.depth}",
                    f"{name} to {after.depth}",
                    difference(a.values[GOAL], b.values[GOAL]),
                    b.latency.p50 - a.latency.p50,
                )
            )
    return tuple(steps)


def _arithmetic(sweep: Sweep, first: Choice, budget_ms: float | None) -> tuple[Arithmetic, ...]:
    first_ms = sweep.outcome(first).latency.p50
    pages = sweep.recording.asked.pages
    return tuple(
        Arithmetic(
            pages,
            first_ms,
            pair := float(np.median(readings.ms_per_pair)),
            budget_ms,
            None if budget_ms is None else max(0, math.floor((budget_ms - first_ms) / max(pair, 1e-6))),
            first_ms + pages * pair,
        )
        for readings in sweep.recording.readings.values()
    )


def _recall(sweep: Sweep, first: Choice) -> dict[str, tuple[float, ...]]:
    """Recall at depths 1 to 100 of every arm and of the chosen first stage."""
    recording = sweep.recording
    chosen = {arm: Choice((arm,), (1.0,)) for arm in recording.arms} | {"chosen first stage": first}
    curves = {
        name: recall_by_depth(recording.asked.qrels, sweep.run_of(choice), depth=SCORED)
        for name, choice in chosen.items()
    }
    return {name: tuple(round(float(share), 6) for share in curve) for name, curve in curves.items()}


def settings_of(choice: Choice, settings: Settings) -> Settings:
    """The library's settings with the recommendation in them; without a reranker, depth and blend stay."""
    applied = choice.applied(settings)
    if choice.reranker == NO_RERANKER:
        return replace(
            applied, reranker=NO_RERANKER, rerank_depth=settings.rerank_depth, blend=settings.blend
        )
    return applied
