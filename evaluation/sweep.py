"""Configurations of the pipeline, swept over a recording; chosen by cross-validation over documents."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

from domain.run import Answer, Run
from evaluation.measures import Percentiles, Values, measure, percentiles
from evaluation.recording import NO_RERANKER, Recording, replayed
from evaluation.trec import falling
from library.build import pipeline
from library.options import SearchOptions
from library.settings import Settings

Places = NDArray[np.intp]
"""Questions, by their place in the recording."""

GOAL = "nDCG@10"
TOLERANCE = 0.002
"""A dearer or more elaborate configuration must be better by more than this where it is chosen."""

FOLDS = 5
SCORED = 100
"""Pages of a ranking that are scored."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One configuration: which arms count how much, how they are joined, and how deep is reranked."""

    arms: tuple[str, ...]
    weights: tuple[float, ...]
    fusion: Literal["ranks", "scores"] = "ranks"
    reranker: str = NO_RERANKER
    depth: int = 0
    blend: float = 0.0
    skip_margin: float = 0.0

    @property
    def name(self) -> str:
        """A short description for tables."""
        arms = " + ".join(
            f"{w:g} {a}" if len(self.arms) > 1 else a for a, w in zip(self.arms, self.weights, strict=True)
        )
        joined = f"{arms} by {self.fusion}" if len(self.arms) > 1 else arms
        if not self.depth:
            return joined
        extra = f", blend {self.blend:g}" if self.blend else ""
        return f"{joined}; {self.reranker} to {self.depth}{extra}"

    @property
    def effort(self) -> tuple[int, int, float, float]:
        """How elaborate it is: depth, arms, distance of the weights from equal ones, blend."""
        uneven = max(self.weights) / min(self.weights) - 1.0
        return (self.depth, len(self.arms), round(uneven, 6), self.blend)

    def applied(self, settings: Settings) -> Settings:
        """The settings with this choice in place of theirs."""
        return replace(
            settings,
            arms=self.arms,
            arm_weights=dict(zip(self.arms, self.weights, strict=True)),
            fusion=self.fusion,
            reranker=self.reranker,
            rerank_depth=self.depth,
            blend=self.blend,
            skip_margin=self.skip_margin,
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a choice gave: each measure's value a question, and milliseconds a question."""

    choice: Choice
    values: dict[str, Values]
    ms: Values
    unread: int

    @property
    def mean(self) -> float:
        """The mean of the goal."""
        return float(self.values[GOAL].mean())

    @property
    def latency(self) -> Percentiles:
        """Percentiles of the estimated time of a question."""
        found = percentiles(self.ms.tolist())
        return found or Percentiles(0.0, 0.0, 0.0, 0.0)


@dataclass
class Sweep:
    """Runs choices over a recording, each once."""

    recording: Recording
    settings: Settings
    _done: dict[Choice, Outcome] = field(default_factory=dict)

    def outcome(self, choice: Choice) -> Outcome:
        """What a choice gives, through the pipeline that would be served."""
        if choice not in self._done:
            self._done[choice] = self._run(choice)
        return self._done[choice]

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """Everything run so far, in order."""
        return tuple(self._done.values())

    @cached_property
    def folds(self) -> tuple[tuple[Places, Places], ...]:
        """Places of the questions to choose on and to judge on; no document is in both."""
        count = len(self.recording.ids)
        groups = self.recording.asked.groups
        if len(set(groups)) < 2:
            groups = self.recording.ids
        folds = min(FOLDS, len(set(groups)))
        if folds < 2:
            return ((np.arange(count), np.arange(count)),)
        return tuple(GroupKFold(folds).split(np.zeros(count), groups=groups))

    def best(self, choices: Iterable[Choice], places: Places | None = None) -> Choice:
        """The least elaborate choice within `TOLERANCE` of the best on these questions (None: all)."""
        where = slice(None) if places is None else places
        scored = [(float(self.outcome(c).values[GOAL][where].mean()), c) for c in choices]
        top = max(score for score, _ in scored)
        return min((c for score, c in scored if score >= top - TOLERANCE), key=lambda c: c.effort)

    def unseen(self, choose: Callable[[Places], Choice]) -> dict[str, Values]:
        """Each question's values under the choice that was made without its document."""
        values: dict[str, Values] = {}
        for train, test in self.folds:
            for name, column in self.outcome(choose(train)).values.items():
                values.setdefault(name, np.zeros(len(column)))[test] = column[test]
        return values

    def run_of(self, choice: Choice) -> dict[str, dict[str, float]]:
        """The ranking of every question under a choice, with strictly falling scores."""
        return _scores(self._answers(choice)[0])

    def _answers(self, choice: Choice) -> tuple[tuple[Answer, ...], int]:
        """The answers, and how many pages should have been read by the reranker and were not recorded."""
        settings = choice.applied(replace(self.settings, candidates=max(SCORED, choice.depth)))
        parts = replayed(self.recording, settings)
        options = SearchOptions(k=SCORED, rerank="auto" if choice.depth else "off")
        answers = pipeline(parts, options)(Run.ask(*self.recording.asked.queries)).answers
        return answers, getattr(parts.reranker(), "unread", 0)

    def _run(self, choice: Choice) -> Outcome:
        answers, unread = self._answers(choice)
        values = measure(self.recording.asked.qrels, _scores(answers), self.recording.ids)
        read = np.array([answer.depth for answer in answers], dtype=np.float64)
        return Outcome(choice, values, self._ms(choice, read), unread)

    def _ms(self, choice: Choice, read: Values) -> Values:
        first = np.sum([self.recording.arm_ms[arm] for arm in choice.arms], axis=0)
        readings = self.recording.readings.get(choice.reranker)
        pair = np.asarray(readings.ms_per_pair) if readings else np.zeros(len(read))
        return np.asarray(first + read * pair, dtype=np.float64)


def _scores(answers: Iterable[Answer]) -> dict[str, dict[str, float]]:
    return {
        a.query.id: dict(zip((h.page for h in a.hits), falling([h.score for h in a.hits]), strict=True))
        for a in answers
    }


def fusions(arms: Sequence[str], *, steps: int = 4) -> tuple[Choice, ...]:
    """Every arm alone, and every mix of arms with weights in `steps` steps, joined by ranks and by scores.

    Weights are written so that the largest is 1.
    """
    mixes: dict[tuple[int, ...], None] = {}
    for weights in product(range(steps + 1), repeat=len(arms)):
        if not any(weights):
            continue
        shared = math.gcd(*weights)
        mixes[tuple(w // shared for w in weights)] = None
    choices = []
    for mix in mixes:
        used = tuple(arm for arm, weight in zip(arms, mix, strict=True) if weight)
        shares = tuple(round(weight / max(mix), 4) for weight in mix if weight)
        kinds: tuple[Literal["ranks", "scores"], ...] = ("ranks", "scores") if len(used) > 1 else ("ranks",)
        choices += [Choice(used, shares, kind) for kind in kinds]
    return tuple(choices)


def rerankings(
    first: Choice, rerankers: Sequence[str], depths: Sequence[int], blends: Sequence[float]
) -> tuple[Choice, ...]:
    """A first stage with every reranker, depth and blend behind it."""
    return tuple(
        replace(first, reranker=reranker, depth=depth, blend=blend)
        for reranker, depth, blend in product(rerankers, depths, blends)
        if depth
    )


def front(outcomes: Sequence[Outcome]) -> tuple[Outcome, ...]:
    """The Pareto front: outcomes that none beats in both nDCG@10 and median time, by rising time."""
    kept: list[Outcome] = []
    for outcome in sorted(outcomes, key=lambda o: (o.latency.p50, -o.mean)):
        if not kept or outcome.mean > kept[-1].mean:
            kept.append(outcome)
    return tuple(kept)
