"""Measures of a ranking. ir-measures computes them; only what it lacks is here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import ir_measures
import numpy as np
from numpy.typing import NDArray

from domain.page import Box
from evaluation.questions import Qrels
from evaluation.trec import Scores, trec_order

Values = NDArray[np.float64]

MEASURES: Final[Mapping[str, ir_measures.measures.Measure]] = {
    "nDCG@5": ir_measures.nDCG @ 5,
    "nDCG@10": ir_measures.nDCG @ 10,
    "MRR": ir_measures.RR,
    "MAP": ir_measures.AP,
    "recall@1": ir_measures.R @ 1,
    "recall@5": ir_measures.R @ 5,
    "recall@10": ir_measures.R @ 10,
    "recall@20": ir_measures.R @ 20,
    "recall@100": ir_measures.R @ 100,
}
"""What every report holds, by the name under which it is shown. nDCG takes graded relevance (linear gain)."""

_NAMES: Final = {str(measure): name for name, measure in MEASURES.items()}


def measure(qrels: Qrels, run: Scores, queries: Sequence[str]) -> dict[str, Values]:
    """Score a run query by query; ties are broken as trec_eval breaks them.

    Args:
        qrels: graded relevance; every query of `queries` has at least one relevant page.
        run: scores; a query that is absent found nothing and counts 0.
        queries: which queries, and in which order the values come.

    Returns:
        For each of `MEASURES`, (len(queries),) float64 in [0, 1].

    Raises:
        ValueError: a query has no judgements.
    """
    unjudged = [query for query in queries if query not in qrels]
    if unjudged:
        raise ValueError(f"no judgements for {len(unjudged)} queries, such as {unjudged[0]!r}")
    place = {query: index for index, query in enumerate(queries)}
    values = {name: np.zeros(len(queries)) for name in MEASURES}
    wanted = {query: dict(qrels[query]) for query in queries}
    found = {query: dict(run[query]) for query in queries if run.get(query)}
    evaluator = ir_measures.pytrec_eval.evaluator(list(MEASURES.values()), wanted)
    for value in evaluator.iter_calc(found):
        values[_NAMES[str(value.measure)]][place[value.query_id]] = value.value
    return values


def recall_by_depth(qrels: Qrels, run: Scores, *, depth: int = 100) -> Values:
    """Mean share of relevant pages found within each depth.

    ir-measures has recall at one depth only; a curve would cost one pass a depth.

    Returns:
        (depth,) float64 that never falls; entry i is recall@(i+1) averaged over all judged queries.
    """
    total = np.zeros(depth)
    for query, judged in qrels.items():
        relevant = {page for page, score in judged.items() if score > 0}
        hits = np.zeros(depth)
        for rank, (page, _) in enumerate(trec_order(run.get(query, {}))[:depth]):
            hits[rank] = page in relevant
        total += np.cumsum(hits) / max(len(relevant), 1)
    return total / max(len(qrels), 1)


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Milliseconds of one stage over the queries."""

    p50: float
    p95: float
    p99: float
    mean: float


def percentiles(values_ms: Sequence[float]) -> Percentiles | None:
    """Nearest-rank-interpolated percentiles; None of nothing."""
    if not values_ms:
        return None
    p50, p95, p99 = (float(x) for x in np.percentile(values_ms, [50, 95, 99]))
    return Percentiles(p50, p95, p99, float(np.mean(values_ms)))


def covers(box: Box, x: float, y: float) -> bool:
    """Whether a point lies in a box, its edges included."""
    return box.x0 <= x <= box.x1 and box.y0 <= y <= box.y1


_GRID: Final = 200


def points_at(hottest: Box, gold: Sequence[Box]) -> bool:
    """The pointing game: the centre of the hottest cell lies in a gold box.

    Source: Zhang et al., Top-down Neural Attention by Excitation Backprop, ECCV 2016, section 4.1.
    """
    x, y = (hottest.x0 + hottest.x1) / 2, (hottest.y0 + hottest.y1) / 2
    return any(covers(box, x, y) for box in gold)


def overlap(found: Sequence[Box], gold: Sequence[Box], *, grid: int = _GRID) -> float:
    """Intersection over union of two sets of boxes, each taken as the area that its boxes cover together.

    Args:
        found: boxes in fractions of the page.
        gold: boxes in fractions of the page.
        grid: cells a side on which both areas are drawn; the error falls with it.

    Returns:
        A share in [0, 1]; 0 where either covers nothing.
    """
    a, b = _drawn(found, grid), _drawn(gold, grid)
    union = int(np.count_nonzero(a | b))
    return int(np.count_nonzero(a & b)) / union if union else 0.0


def area(boxes: Sequence[Box], *, grid: int = _GRID) -> float:
    """The share of the page, in [0, 1], that boxes cover together."""
    return float(_drawn(boxes, grid).mean())


def equal_area(cells: Sequence[Box], gold: Sequence[Box]) -> list[Box]:
    """The hottest cells that together cover as much of the page as the gold boxes do.

    A map has no border of its own; at equal area its overlap with the gold boxes can reach 1, and a map
    that lights up everywhere gains nothing by it.

    Args:
        cells: hottest first.
        gold: the boxes that set the area.
    """
    wanted, taken = area(gold), list[Box]()
    covered = np.zeros((_GRID, _GRID), dtype=np.bool_)
    for cell in cells:
        taken.append(cell)
        covered |= _drawn([cell], _GRID)
        if covered.mean() >= wanted:
            break
    return taken


def _drawn(boxes: Sequence[Box], grid: int) -> NDArray[np.bool_]:
    area = np.zeros((grid, grid), dtype=np.bool_)
    middles = (np.arange(grid) + 0.5) / grid
    for box in boxes:
        rows = (middles >= box.y0) & (middles <= box.y1)
        columns = (middles >= box.x0) & (middles <= box.x1)
        area |= np.outer(rows, columns)
    return area
