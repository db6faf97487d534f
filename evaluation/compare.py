"""Two reports on the same questions: paired tests, and the gate against a baseline."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from domain.errors import UsageError
from evaluation.measures import MEASURES
from evaluation.report import Provenance, Report
from evaluation.statistics import Difference, difference

GATED: Final = ("nDCG@5", "nDCG@10", "recall@100")


@dataclass(frozen=True, slots=True)
class Comparison:
    """One measure of two reports' pipelines, and the difference query by query."""

    measure: str
    first: float
    second: float
    change: Difference

    @property
    def regressed(self) -> bool:
        """Whether the second is worse by more than chance: the interval of the difference lies below 0."""
        interval = self.change.mean.interval
        return self.change.mean.mean < 0 and (interval is None or interval.high < 0)


def compare(first: Report, second: Report) -> tuple[Comparison, ...]:
    """Compare two whole pipelines on the questions that both answered, in every measure.

    Raises:
        UsageError: they share no questions, or differ in the data although they bear the same name.
    """
    check(first.provenance, second.provenance.data, second.provenance.revision)
    shared = sorted(set(first.queries) & set(second.queries))
    if not shared:
        raise UsageError("the two reports share no question; evaluate both on the same files")
    return tuple(_compared(first, second, shared, name) for name in MEASURES)


def check(first: Provenance, data: str, revision: str) -> None:
    """Refuse to compare figures on different data.

    Raises:
        UsageError: the names or the revisions differ.
    """
    if (first.data, first.revision) != (data, revision):
        raise UsageError(
            f"the figures are on different data: {first.data} {first.revision} and {data} {revision}; "
            "evaluate both on the same files"
        )


def regressions(baseline: Report, report: Report) -> tuple[Comparison, ...]:
    """The gated measures in which a report is worse than its baseline by more than chance.

    Raises:
        UsageError: the two cannot be compared.
    """
    return tuple(c for c in compare(baseline, report) if c.measure in GATED and c.regressed)


def _compared(first: Report, second: Report, shared: list[str], name: str) -> Comparison:
    a, b = _values(first, shared, name), _values(second, shared, name)
    return Comparison(name, float(a.mean()), float(b.mean()), difference(a, b))


def _values(report: Report, shared: list[str], name: str) -> np.typing.NDArray[np.float64]:
    values = report.scores[report.pipeline.name][name]
    place = {query: index for index, query in enumerate(report.queries)}
    return np.array([values[place[query]] for query in shared])
