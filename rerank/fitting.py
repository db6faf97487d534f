"""Fits a reranker's calibration on labelled questions."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from domain.errors import UsageError
from domain.fingerprint import Fingerprint
from rerank.calibration import Calibration, Doubles, Kind, curve, expected_error, sigmoid

MIN_QUESTIONS = 50
"""Labelled questions below which a calibration would be noise."""

MIN_PAGES = 10
"""Relevant pages, and irrelevant ones, that the reranker must have read."""

FOLDS = 5


@dataclass(frozen=True, slots=True)
class Labelled:
    """A page that the reranker read for a labelled question: its raw logit, and whether it answers."""

    question: str
    logit: float
    relevant: bool


@dataclass(frozen=True, slots=True)
class Fitted:
    """A calibration, and what it promised on questions that it was not fitted on.

    Attributes:
        before: sigmoid(logit) of every labelled page, in order.
        after: the calibrated probability of the same pages, each from a fit without its question.
        losses: mean log loss (nats) of every kind that was tried, on questions not fitted on.
    """

    calibration: Calibration
    before: tuple[float, ...]
    after: tuple[float, ...]
    losses: dict[Kind, float]


def fit(
    labels: Sequence[Labelled], *, fingerprint: Fingerprint, model: str, kind: Kind | None = None
) -> Fitted:
    """Fit a curve from logits to probabilities; without a kind, the one that predicts unseen questions best.

    Raises:
        UsageError: fewer than 50 questions, or too few relevant or irrelevant pages; says how many it needs.
        ValueError: a logit is not finite.
    """
    _enough(labels)
    logits = np.array([label.logit for label in labels], dtype=np.float64)
    truth = np.array([label.relevant for label in labels], dtype=np.float64)
    groups = np.unique([label.question for label in labels], return_inverse=True)[1].astype(np.float64)
    if not np.isfinite(logits).all():
        raise ValueError("a logit is not finite; a calibration is fitted on finite scores")
    tried: tuple[Kind, ...] = (kind,) if kind else ("temperature", "platt", "isotonic")
    unseen = {name: _unseen(name, logits, truth, groups) for name in tried}
    losses = {name: _log_loss(chances, truth) for name, chances in unseen.items()}
    best = min(losses, key=lambda name: losses[name])
    before, after = sigmoid(logits), unseen[best]
    calibration = Calibration(
        fingerprint=fingerprint.digest,
        model=model,
        kind=best,
        params=FITS[best](logits, truth),
        ece_before=expected_error(before.tolist(), truth.astype(bool).tolist()),
        ece_after=expected_error(after.tolist(), truth.astype(bool).tolist()),
        questions=int(groups.max()) + 1,
    )
    return Fitted(calibration, tuple(before.tolist()), tuple(after.tolist()), losses)


def _enough(labels: Sequence[Labelled]) -> None:
    questions = len({label.question for label in labels})
    if questions < MIN_QUESTIONS:
        raise UsageError(
            f"{questions} labelled questions are too few to calibrate: {MIN_QUESTIONS} are needed, "
            f"{MIN_QUESTIONS - questions} more"
        )
    relevant = sum(label.relevant for label in labels)
    for what, found in (("relevant", relevant), ("irrelevant", len(labels) - relevant)):
        if found < MIN_PAGES:
            raise UsageError(
                f"the reranker has read {found} {what} pages of the labelled questions: {MIN_PAGES} are "
                f"needed to calibrate, {MIN_PAGES - found} more; label more questions or rerank deeper"
            )


def _unseen(kind: Kind, logits: Doubles, truth: Doubles, groups: Doubles) -> Doubles:
    """Each page's probability from a curve fitted without its question."""
    chances = np.empty_like(logits)
    for train, test in GroupKFold(FOLDS).split(logits, truth, groups):
        if truth[train].min() == truth[train].max():
            chances[test] = truth[train].mean()
        else:
            chances[test] = curve(kind, FITS[kind](logits[train], truth[train]), logits[test].tolist())
    return chances


def _log_loss(chances: Doubles, truth: Doubles) -> float:
    safe = np.clip(chances, 1e-6, 1.0 - 1e-6)
    return float(-(truth * np.log(safe) + (1.0 - truth) * np.log1p(-safe)).mean())


def _temperature(logits: Doubles, truth: Doubles) -> tuple[float, ...]:
    """One number, found on a logarithmic scale. Source: Guo et al., ICML 2017."""

    def loss(log_t: float) -> float:
        return float(np.logaddexp(0.0, (1.0 - 2.0 * truth) * logits / math.exp(log_t)).mean())

    return (math.exp(minimize_scalar(loss, bounds=(-5.0, 7.0), method="bounded").x),)


def _platt(logits: Doubles, truth: Doubles) -> tuple[float, ...]:
    """Slope and shift, with targets drawn off 0 and 1 so that separable data stay finite.

    The slope never falls below a small positive number: a higher logit never means a smaller chance.
    Source: Platt, 1999; Lin, Lin & Weng, 2007.
    """
    positive, negative = truth.sum(), (1.0 - truth).sum()
    high, low = (positive + 1.0) / (positive + 2.0), 1.0 / (negative + 2.0)
    target = np.where(truth > 0, high, low)
    scale = max(float(logits.std()), 1e-9)
    model = LogisticRegression(C=1e6, max_iter=1000).fit(
        np.concatenate([logits, logits])[:, None] / scale,
        np.concatenate([np.ones_like(truth), np.zeros_like(truth)]),
        sample_weight=np.concatenate([target, 1.0 - target]),
    )
    slope = float(model.coef_[0, 0]) / scale
    if slope <= 0:
        rate = positive / (positive + negative)
        return (1e-9, float(np.log(rate / (1.0 - rate))))
    return (slope, float(model.intercept_[0]))


def _isotonic(logits: Doubles, truth: Doubles) -> tuple[float, ...]:
    """A rising step curve through the pooled labels. Source: Zadrozny & Elkan, KDD 2002."""
    model = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(logits, truth)
    return (*map(float, model.X_thresholds_), *map(float, model.y_thresholds_))


FITS: dict[Kind, Callable[[Doubles, Doubles], tuple[float, ...]]] = {
    "temperature": _temperature,
    "platt": _platt,
    "isotonic": _isotonic,
}
