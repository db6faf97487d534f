"""From rankings to figures: pure, so that a stored run gives the same report as a fresh one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.measures import MEASURES, Values, measure, percentiles, recall_by_depth
from evaluation.questions import Qrels
from evaluation.rank import FIRST, Ranking
from evaluation.report import MAIN_MEASURES, Lift, Slice, StageFigures
from evaluation.slices import Group
from evaluation.statistics import Figure, difference, figures


@dataclass(frozen=True, slots=True)
class Assessment:
    """Everything that follows from the rankings and the judgements alone."""

    stages: tuple[StageFigures, ...]
    lifts: tuple[Lift, ...]
    slices: tuple[Slice, ...]
    scores: Mapping[str, Mapping[str, tuple[float, ...]]]


def assess(
    qrels: Qrels,
    queries: Sequence[str],
    rankings: Sequence[Ranking],
    *,
    groups: Sequence[Group] = (),
    depth: int = 100,
) -> Assessment:
    """Score every stage, every step between two stages and every slice.

    Args:
        qrels: judgements of exactly these queries.
        queries: the order of the values.
        rankings: from the first arm to the whole pipeline.
        groups: slices, by places in `queries`.
        depth: of the recall curve.
    """
    table = {ranking.name: measure(qrels, ranking.run, queries) for ranking in rankings}
    stages = tuple(
        StageFigures(
            r.name,
            _means(table[r.name], range(len(queries))),
            percentiles(r.ms),
            tuple(round(float(x), 6) for x in recall_by_depth(qrels, r.run, depth=depth)),
        )
        for r in rankings
    )
    slices = tuple(
        Slice(g.field, g.value, len(g.places), {name: _means(table[name], g.places) for name in table})
        for g in groups
    )
    scores = {
        stage: {name: tuple(float(x) for x in values) for name, values in columns.items()}
        for stage, columns in table.items()
    }
    return Assessment(stages, _lifts(table), slices, scores)


def _means(columns: Mapping[str, Values], places: Sequence[int]) -> dict[str, Figure]:
    """All measures over some queries; few of them need few resamples to be as sure as they can be."""
    rows = np.stack(list(columns.values()), axis=1)[list(places)]
    resamples = 10_000 if len(rows) == len(next(iter(columns.values()))) else 2_000
    return dict(zip(MEASURES, figures(rows, resamples=resamples), strict=True))


def _lifts(table: Mapping[str, Mapping[str, Values]]) -> tuple[Lift, ...]:
    """What each arm's fusion adds to it, and what the whole pipeline adds to the first stage."""
    names = list(table)
    whole = names[-1]
    if len(names) == 1:
        return ()
    first = FIRST if FIRST in names else whole
    steps = [(arm, first) for arm in names if arm not in {first, whole}]
    steps += [(first, whole)] if first != whole else []
    return tuple(
        Lift(a, b, name, difference(table[a][name], table[b][name]))
        for a, b in steps
        for name in MAIN_MEASURES
    )
