"""Held-out figures of a reranker, and its calibration on questions that neither train nor evaluate."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch

from backbone.transformer import quick
from domain.fusion import standardised
from library.settings import Settings
from rerank.adapters.builtin import BATCH, BuiltinReranker, fingerprint
from rerank.builtin.files import CALIBRATION
from rerank.builtin.network import RerankNetwork
from rerank.builtin.pairs import Reading, Wording, beside
from rerank.fitting import Labelled, fit
from training.reranker_material import Material, Stage
from training.reranker_pool import as_written

DEPTH = 20
BLEND = Settings().blend
BLUR = 0.5


@dataclass(frozen=True, slots=True)
class Figures:
    """Mean reciprocal rank of the right page among the DEPTH that rank highest, over held-out questions.

    Attributes:
        questions: how many.
        first: as the first stage ranks, words and meaning.
        served: reranked by text, and blended with the first stage as searches are.
        similarity: ranked by the sum of each question word's best similarity, as late interaction does.
        sight: reranked by sight.
        text: reranked by text.
        chance: of a random order.
    """

    questions: int
    first: float
    served: float
    similarity: float
    sight: float
    text: float
    chance: float


def evaluate(network: RerankNetwork, stage: Stage, material: Material) -> Figures:
    """Rerank each held-out question's right page among those that the first stage ranks highest."""
    ranks: dict[str, list[float]] = {field.name: [] for field in fields(Figures) if field.name != "questions"}
    for question in stage.evaluate:
        pages, first = _candidates(stage, question)
        seen = by_sight(stage, question, pages, material)
        text = [as_written(stage.task, question, page, material.lexicon) for page in pages]
        asked = material.lexicon.wording(stage.task.questions[question])
        ranks["similarity"].append(_reciprocal([_alike(asked, page) for page in seen]))
        ranks["sight"].append(_reciprocal(score(network, asked, seen)))
        logits = score(network, asked, text)
        ranks["text"].append(_reciprocal(logits))
        ranks["first"].append(_reciprocal(first))
        both = zip(standardised(first), standardised(logits), strict=True)
        ranks["served"].append(_reciprocal([BLEND * one + (1 - BLEND) * other for one, other in both]))
        ranks["chance"].append(float(np.mean(1 / np.arange(1, len(pages) + 1))))
    means = {name: float(np.mean(values)) if values else 0.0 for name, values in ranks.items()}
    return Figures(questions=len(stage.evaluate), **means)


def calibrate(
    network: RerankNetwork, digest: str, material: Material, output: Path
) -> dict[str, float] | None:
    """Fit the calibration on questions kept apart and write it beside the weights; None if they are too few."""
    stage = material.stages[-1]
    labels: list[Labelled] = []
    for question in stage.calibrate:
        pages, _ = _candidates(stage, question)
        asked = material.lexicon.wording(stage.task.questions[question])
        text = [as_written(stage.task, question, page, material.lexicon) for page in pages]
        logits = score(network, asked, text)
        labels += [Labelled(str(question), logit, not place) for place, logit in enumerate(logits)]
    if len(stage.calibrate) < 50:
        return None
    fitted = fit(
        labels, fingerprint=fingerprint(digest), model=BuiltinReranker.name, kind="platt"
    ).calibration
    (output / CALIBRATION).write_text(fitted.to_json() + "\n")
    return {"questions": fitted.questions, "ece_before": fitted.ece_before, "ece_after": fitted.ece_after}


def by_sight(stage: Stage, question: int, pages: Sequence[int], material: Material) -> list[Reading]:
    """What the encoder read of these pages, or what it might have read, the same at every call."""
    if stage.pictures:
        return stage.seen(question, pages, material.lexicon)
    dice = np.random.default_rng(pages[0])
    return [material.misreader.read(stage.task, question, page, blur=BLUR, chance=dice) for page in pages]


def score(network: RerankNetwork, asked: Wording, pages: Sequence[Reading]) -> list[float]:
    """Logits of one question and these pages."""
    logits: list[float] = []
    for start in range(0, len(pages), BATCH):
        some = pages[start : start + BATCH]
        with torch.inference_mode(), quick():
            logits += network(beside([asked] * len(some), some, dim=asked.rows.shape[1])).tolist()
    return logits


def _candidates(stage: Stage, question: int) -> tuple[list[int], list[float]]:
    mined = stage.task.mined
    near = [int(page) for page in mined.near[question] if page >= 0][: DEPTH - 1]
    return [int(mined.best[question]), *near], mined.scores[question, : 1 + len(near)].tolist()


def _alike(asked: Wording, page: Reading) -> float:
    if not len(page.cells):
        return 0.0
    return float((asked.worth * (asked.rows @ page.cells.T).max(1)).sum())


def _reciprocal(scores: Sequence[float]) -> float:
    """One over the rank of the first; equal scores count against it."""
    return 1.0 / (1 + sum(other >= scores[0] for other in scores[1:]))
