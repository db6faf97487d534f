"""Calibrates a reranker on labelled questions, and measures "nothing relevant" as a decision."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from pydantic import TypeAdapter

from domain.errors import UsageError
from domain.run import Run
from evaluation.markdown import table
from evaluation.measures import Values
from evaluation.plots import svg
from evaluation.recording import Readings, Recording, replayed
from evaluation.report import write_text
from library.build import pipeline
from library.options import SearchOptions
from library.settings import Settings
from rerank.calibration import Bin, Calibration, Kind, reliability
from rerank.fitting import Fitted, Labelled, fit

THRESHOLDS: Final = tuple(round(step / 20, 2) for step in range(1, 20))


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision "nothing relevant" at one `min_probability`.

    A case is a question with the pages that the reranker read for it, once as they are and once without the
    relevant ones. "Nothing relevant" is right where none of the case's pages is relevant.

    Attributes:
        precision: of the cases answered "nothing relevant", the share where that is right; 1 where none is.
        recall: of the cases without a relevant page, the share answered "nothing relevant".
        kept: of the cases with a relevant page, the share that is answered with pages.
    """

    threshold: float
    precision: float
    recall: float
    kept: float

    @property
    def balance(self) -> float:
        """Youden's J, in [-1, 1]: recall and kept weigh alike however many cases lack a relevant page."""
        return self.recall + self.kept - 1.0


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A calibration and everything that says how good it is, on questions that it was not fitted on."""

    calibration: Calibration
    pages: int
    relevant: int
    losses: Mapping[Kind, float]
    before: tuple[Bin, ...]
    after: tuple[Bin, ...]
    decisions: tuple[Decision, ...]

    @property
    def best(self) -> Decision:
        """The threshold that decides best, by Youden's J."""
        return max(self.decisions, key=lambda decision: decision.balance)


_ADAPTER: Final = TypeAdapter(Calibrated)


def calibrate(
    recording: Recording, settings: Settings, *, depth: int, kind: Kind | None = None
) -> Calibrated:
    """Fit a calibration on the pages that the settings' pipeline gives the reranker.

    Args:
        recording: with readings of the settings' reranker.
        settings: arms, weights and fusion decide which pages the reranker reads.
        depth: how many of them.
        kind: of the curve; None: the one that predicts unseen questions best.

    Raises:
        UsageError: nothing was recorded of this reranker, or there are too few labels; says how many.
    """
    readings = recording.readings.get(settings.reranker)
    if readings is None:
        raise UsageError(f"nothing was recorded of the reranker {settings.reranker!r}")
    labels = labelled(recording, settings, readings, depth=depth)
    fitted = fit(labels, fingerprint=readings.fingerprint, model=readings.name, kind=kind)
    truth = [label.relevant for label in labels]
    return Calibrated(
        calibration=fitted.calibration,
        pages=len(labels),
        relevant=sum(truth),
        losses=fitted.losses,
        before=reliability(fitted.before, truth),
        after=reliability(fitted.after, truth),
        decisions=decisions(labels, fitted),
    )


def labelled(
    recording: Recording, settings: Settings, readings: Readings, *, depth: int
) -> tuple[Labelled, ...]:
    """The first pages of every question with the reranker's logit, where it has read them."""
    parts = replayed(recording, settings)
    run = pipeline(parts, SearchOptions(k=depth, rerank="off"))(Run.ask(*recording.asked.queries))
    qrels = recording.asked.qrels
    return tuple(
        Labelled(answer.query.id, logits[hit.page], qrels[answer.query.id].get(hit.page, 0) > 0)
        for answer in run.answers
        for logits in (readings.logits[answer.query.id],)
        for hit in answer.hits
        if hit.page in logits
    )


def decisions(labels: Sequence[Labelled], fitted: Fitted) -> tuple[Decision, ...]:
    """How well the best page's probability tells whether any page is relevant, at every threshold."""
    cases: dict[tuple[str, bool], float] = {}
    for label, chance in zip(labels, fitted.after, strict=True):
        for as_asked in (True, False):
            if as_asked or not label.relevant:
                case = (label.question, as_asked)
                cases[case] = max(cases.get(case, 0.0), chance)
    answerable = {label.question for label in labels if label.relevant}
    # a question without a relevant page among those read is one case, not the same case twice
    kept = {case: best for case, best in cases.items() if case[1] or case[0] in answerable}
    best = np.array(list(kept.values()))
    truth = np.array([as_asked and question in answerable for question, as_asked in kept])
    return tuple(_decision(threshold, best, truth) for threshold in THRESHOLDS)


def _decision(threshold: float, best: Values, answerable: np.ndarray) -> Decision:
    nothing = best < threshold
    said, lacking = int(nothing.sum()), int((~answerable).sum())
    right = int((nothing & ~answerable).sum())
    return Decision(
        threshold,
        precision=right / said if said else 1.0,
        recall=right / lacking if lacking else 1.0,
        kept=float((~nothing & answerable).sum() / max(int(answerable.sum()), 1)),
    )


def markdown(found: Calibrated) -> str:
    """The calibration, its error before and after, and the decision it supports."""
    c, best = found.calibration, found.best
    summary = (
        f"A **{c.kind}** calibration of `{c.model}` on {c.questions} questions ({found.pages:,} pages read, "
        f"{found.relevant} relevant): expected calibration error {c.ece_before:.3f} before, "
        f"{c.ece_after:.3f} after, on questions that it was not fitted on."
    )
    bins = [
        [f"{at}", *(f"{x:.3f}" for b in pair for x in (b.predicted, b.observed))]
        for at, pair in enumerate(zip(found.before, found.after, strict=False), start=1)
    ]
    rows = [
        [
            f"{d.threshold:g}{' *' if d == best else ''}",
            f"{d.precision:.3f}",
            f"{d.recall:.3f}",
            f"{d.kept:.3f}",
        ]
        for d in found.decisions
    ]
    head = ["bin", "sigmoid(logit)", "came true", "calibrated", "came true"]
    decided = ["min_probability (* best)", "precision", "recall", "answerable kept"]
    return "\n\n".join(
        [summary, table(head, bins), '"Nothing relevant" as a decision:', table(decided, rows)]
    )


def as_json(found: Calibrated) -> str:
    """Everything, floats in full."""
    return _ADAPTER.dump_json(found, indent=1).decode() + "\n"


def save(found: Calibrated, directory: Path) -> None:
    """Write `calibrate.json`, `calibrate.md` and the reliability diagram."""
    write_text(directory / "calibrate.json", as_json(found))
    write_text(directory / "calibrate.md", markdown(found) + "\n")
    write_text(directory / "reliability.svg", svg(lambda axes: _diagram(axes, found), 4.0))


def _diagram(axes: Axes, found: Calibrated) -> None:
    axes.plot([0, 1], [0, 1], color="#6b7280", linewidth=0.8)
    for name, bins in (("before", found.before), ("after", found.after)):
        axes.plot([b.predicted for b in bins], [b.observed for b in bins], "o-", label=name)
    axes.set(xlabel="predicted probability", ylabel="share that was relevant", xlim=(0, 1), ylim=(0, 1))
    axes.legend(frameon=False)
