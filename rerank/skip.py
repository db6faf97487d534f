"""Early stop: no reranking where the first stage's margin says that the top will not change."""

import math
from dataclasses import replace

from domain.run import Answer, Run
from domain.stage import Stage

WINDOW = 20
"""Pages whose scores make the scale on which the margin is measured."""


def margin(answer: Answer, *, window: int = WINDOW) -> float:
    """How far the first page leads, in [0, 1]: its lead over the second by the spread of the first pages.

    It does not change when all scores are shifted or stretched, so one threshold serves any fusion. A single
    page leads by 1; no page, or equal scores, by 0.
    """
    scores = [hit.score for hit in answer.hits[:window]]
    if len(scores) < 2:
        return float(len(scores))
    spread = scores[0] - scores[-1]
    return (scores[0] - scores[1]) / spread if spread > 0 else 0.0


def unless_clear(stage: Stage, *, threshold: float) -> Stage:
    """Run the stage only on answers whose margin is below the threshold; the others say that they skipped it.

    Args:
        stage: the reranker.
        threshold: in [0, inf]; infinity never skips, 0 always does. Fit it on labelled or replayed queries.

    Raises:
        ValueError: the threshold is negative or not a number.
    """
    if math.isnan(threshold) or threshold < 0:
        raise ValueError(f"the margin's threshold is a number from 0, not {threshold}")

    def careful(run: Run) -> Run:
        unclear = [at for at, answer in enumerate(run.answers) if margin(answer) < threshold]
        changed = stage(Run(tuple(run.answers[at] for at in unclear))).answers if unclear else ()
        answers = [_clear(answer) for answer in run.answers]
        for at, answer in zip(unclear, changed, strict=True):
            answers[at] = answer
        return Run(tuple(answers))

    return careful


def _clear(answer: Answer) -> Answer:
    note = f"not reranked: the first page leads clearly (margin {margin(answer):.2f})"
    return replace(answer, notes=(*answer.notes, note))
