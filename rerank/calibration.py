"""From a reranker's raw logit to the chance that a page answers, for that one model only."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from domain.errors import StoreError
from domain.fingerprint import Fingerprint
from domain.run import Answer, Run
from domain.stage import Stage

Doubles = NDArray[np.float64]

Kind = Literal["temperature", "platt", "isotonic"]

BINS = 10
"""Bins of equal count in a reliability diagram; equal widths leave bins empty where positives are rare."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """How one reranker's logits become probabilities.

    Attributes:
        fingerprint: digest of the reranker that it was fitted for.
        model: that reranker's name, for people.
        kind: `temperature`: sigmoid(logit / t), params (t,); `platt`: sigmoid(a * logit + b), params (a, b);
            `isotonic`: a rising curve, params x1 .. xn p1 .. pn, straight between its points, flat outside.
        params: the numbers of the curve.
        ece_before: expected calibration error of sigmoid(logit) on the labelled questions.
        ece_after: the same after calibration, on questions that the curve was not fitted on.
        questions: labelled questions that it was fitted on.
    """

    fingerprint: str
    model: str
    kind: Kind
    params: tuple[float, ...]
    ece_before: float
    ece_after: float
    questions: int

    def __post_init__(self) -> None:
        fits = {"temperature": len(self.params) == 1, "platt": len(self.params) == 2}
        if not fits.get(self.kind, self.kind == "isotonic" and self.params and len(self.params) % 2 == 0):
            raise ValueError(f"{len(self.params)} numbers do not make a {self.kind} calibration")
        if not np.isfinite(self.params).all():
            raise ValueError(f"a {self.kind} calibration needs finite numbers, not {self.params}")

    def fits(self, fingerprint: Fingerprint) -> bool:
        """Whether it was fitted for the model with this fingerprint."""
        return self.fingerprint == fingerprint.digest

    def probabilities(self, logits: Sequence[float]) -> tuple[float, ...]:
        """The chance, for each logit, that the page answers; never falls as the logit rises."""
        return tuple(map(float, curve(self.kind, self.params, logits)))

    def to_json(self) -> str:
        """Everything, to be kept beside the library's settings."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Calibration":
        """What `to_json` wrote.

        Raises:
            StoreError: the text is not that.
        """
        try:
            fields = json.loads(text)
            return cls(**{**fields, "params": tuple(float(number) for number in fields["params"])})
        except (ValueError, TypeError, KeyError) as error:
            raise StoreError(f"the calibration is damaged ({error}); run `recto calibrate` again") from error


def curve(kind: Kind, params: Sequence[float], logits: Sequence[float]) -> Doubles:
    """Probabilities, (n,) float64 in [0, 1], of n logits under one kind of curve."""
    x = np.asarray(logits, dtype=np.float64)
    if kind == "isotonic":
        half = len(params) // 2
        return np.clip(np.interp(x, params[:half], params[half:]), 0.0, 1.0)
    slope, shift = (1.0 / params[0], 0.0) if kind == "temperature" else params
    return sigmoid(slope * x + shift)


def sigmoid(
    x: Doubles,
) -> Doubles:
    """1 / (1 + e^-x), without overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * x)), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Bin:
    """One point of a reliability diagram: what was promised, what came true, over how many pairs."""

    predicted: float
    observed: float
    pairs: int


def reliability(
    probabilities: Sequence[float], labels: Sequence[bool], *, bins: int = BINS
) -> tuple[Bin, ...]:
    """The reliability diagram: pairs in bins of equal count, by rising probability; equal ones share a bin.

    Raises:
        ValueError: there are not as many labels as probabilities.
    """
    if len(probabilities) != len(labels):
        raise ValueError(f"{len(probabilities)} probabilities need as many labels, not {len(labels)}")
    order = np.argsort(np.asarray(probabilities, dtype=np.float64), kind="stable")
    values = np.asarray(probabilities, dtype=np.float64)[order]
    truth = np.asarray(labels, dtype=np.float64)[order]
    last = [len(values) * at // bins - 1 for at in range(1, bins + 1)]
    ends = sorted({int(np.searchsorted(values, values[at], side="right")) for at in last if at >= 0})
    return tuple(
        Bin(float(values[start:end].mean()), float(truth[start:end].mean()), end - start)
        for start, end in pairwise((0, *ends))
    )


def expected_error(probabilities: Sequence[float], labels: Sequence[bool], *, bins: int = BINS) -> float:
    """Expected calibration error in [0, 1]: how far promise and truth lie apart, averaged over pairs.

    Source: Naeini, Cooper & Hauskrecht, AAAI 2015, with bins of equal count.
    """
    diagram = reliability(probabilities, labels, bins=bins)
    total = sum(bin_.pairs for bin_ in diagram)
    return sum(abs(bin_.predicted - bin_.observed) * bin_.pairs for bin_ in diagram) / total if total else 0.0


def min_probability(threshold: float) -> Stage:
    """Keep the pages that answer with at least this probability; none left means "nothing relevant", said so.

    Pages that no calibrated reranker has read are dropped, with a remark. If it read none (no time, switched
    off), the ranking stays as it is, with a remark: no filter is not an empty result.

    Raises:
        ValueError: the threshold is outside [0, 1].
    """
    if not 0.0 <= threshold <= 1.0:
        raise ValueError(f"a probability lies between 0 and 1, not {threshold}")

    def filtered(run: Run) -> Run:
        return Run(tuple(_likely(answer, threshold) for answer in run.answers))

    return filtered


def _likely(answer: Answer, threshold: float) -> Answer:
    if not answer.hits:
        return answer
    chances = [hit.probability for hit in answer.hits if hit.probability is not None]
    if not chances:
        note = "min_probability was not applied: no page has a calibrated probability"
        return replace(answer, notes=(*answer.notes, note))
    kept = tuple(h for h in answer.hits if h.probability is not None and h.probability >= threshold)
    notes = []
    if not kept:
        best = max(chances)
        notes.append(
            f"nothing relevant: the best page answers with probability {best:.2f}, under {threshold:g}"
        )
    unread = len(answer.hits) - len(chances)
    if unread:
        notes.append(f"{unread} pages beneath the reranked ones have no probability and were left out")
    return replace(answer, hits=kept, notes=(*answer.notes, *notes))
