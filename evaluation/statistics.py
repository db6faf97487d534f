"""How sure a figure is: bootstrap intervals and paired randomisation, resampling queries."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

RESAMPLES = 10_000
CONFIDENCE = 0.95
_CELLS = 4_000_000  # resamples x queries drawn at once: 32 MB


@dataclass(frozen=True, slots=True)
class Interval:
    """A two-sided interval of `CONFIDENCE`."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Figure:
    """A mean over queries; the interval is None where one query or none cannot give one."""

    mean: float
    interval: Interval | None


@dataclass(frozen=True, slots=True)
class Difference:
    """One configuration against another on the same queries.

    Attributes:
        mean: the mean of second minus first, and its bootstrap interval.
        p_value: two-sided, of paired randomisation; 1 where nothing differs.
        helped: queries where the second is better; `hurt` worse; `same` equal.
    """

    mean: Figure
    p_value: float
    helped: int
    hurt: int
    same: int


def figures(values: Values, *, resamples: int = RESAMPLES, seed: int = 0) -> list[Figure]:
    """Means with percentile bootstrap intervals; all columns share the resamples.

    Args:
        values: (queries, columns); no row missing.
        resamples: how many bootstrap samples.
        seed: of the resampling; the same values give the same interval.

    Returns:
        One figure a column. A table without rows gives mean 0 and no interval.

    Source: Efron & Tibshirani, An Introduction to the Bootstrap, 1993, section 13.3.
    """
    count, columns = values.shape
    if count < 2:
        return [Figure(float(m), None) for m in (values[0] if count else np.zeros(columns))]
    rng = np.random.default_rng(seed)
    means = np.empty((resamples, columns))
    step = max(1, _CELLS // count)
    for start in range(0, resamples, step):
        stop = min(start + step, resamples)
        times = rng.multinomial(count, np.full(count, 1 / count), size=stop - start)
        means[start:stop] = times @ values / count
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(means, [tail, 1 - tail], axis=0)
    whole = values.mean(axis=0)
    return [Figure(float(m), Interval(float(a), float(b))) for m, a, b in zip(whole, low, high, strict=True)]


def figure(values: Values, *, resamples: int = RESAMPLES, seed: int = 0) -> Figure:
    """One column of `figures`."""
    return figures(np.asarray(values, dtype=np.float64)[:, None], resamples=resamples, seed=seed)[0]


def randomisation(differences: Values, *, resamples: int = RESAMPLES, seed: int = 0) -> list[float]:
    """Two-sided p-values of the paired randomisation test, one a column.

    Under the null hypothesis each query's difference has either sign with equal chance. The observed
    assignment counts among the resamples, so that no p-value is 0.

    Args:
        differences: (queries, columns).
        resamples: how many assignments of signs.
        seed: of the signs.

    Source: Smucker, Allan & Carterette, CIKM 2007.
    """
    count, columns = differences.shape
    observed = np.abs(differences.sum(axis=0))
    rng = np.random.default_rng(seed)
    extreme = np.zeros(columns, dtype=np.int64)
    step = max(1, _CELLS // max(count, 1))
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        signs = rng.integers(0, 2, size=(size, count)) * 2.0 - 1.0
        extreme += (np.abs(signs @ differences) >= observed - 1e-9).sum(axis=0)
    return [float(p) for p in (extreme + 1) / (resamples + 1)]


def difference(first: Values, second: Values, *, resamples: int = RESAMPLES, seed: int = 0) -> Difference:
    """Compare two configurations, query by query.

    Args:
        first: (queries,) values of the first.
        second: (queries,) values of the second, in the same order.
        resamples: of both tests.
        seed: of both tests.

    Raises:
        ValueError: the lengths differ.
    """
    if first.shape != second.shape:
        raise ValueError(f"{len(first)} and {len(second)} queries cannot be paired")
    change = np.asarray(second - first, dtype=np.float64)
    helped, hurt = int((change > 1e-12).sum()), int((change < -1e-12).sum())
    p_value = randomisation(change[:, None], resamples=resamples, seed=seed)[0] if len(change) else 1.0
    return Difference(
        figure(change, resamples=resamples, seed=seed), p_value, helped, hurt, len(change) - helped - hurt
    )
