"""Documents speak for their pages: where many pages of a document fit a question, each of them gains."""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from domain.fusion import minmax
from domain.page import document_of
from domain.run import Answer, Run, ranked
from domain.stage import Stage

PagesOf = Callable[[Collection[str]], Mapping[str, int]]
"""How many pages each of these documents (by id) has; one that it does not know has those in the ranking."""

SHARPNESS = 6.0
"""How much a document's best pages count before its many; chosen with the usual share (docs/decisions/0093)."""


def lift_documents(share: float, pages_of: PagesOf) -> Stage:
    """Add to each page's score, stretched to [0, 1], a share of what its document shows as a whole.

    A document shows the soft mean of its pages' scores, log(mean(exp(SHARPNESS * score))) / SHARPNESS; pages that are
    not in the ranking count 0. The mean, and not the sum, keeps long documents from winning by their length. Pages of
    one document keep their order.

    Args:
        share: from 0; 0 leaves rankings as they are.
        pages_of: tells how long documents are.

    Raises:
        ValueError: the share is negative or not finite.

    Source: Callan, SIGIR 1994 (passages and their documents' evidence combined).
    """
    if not (math.isfinite(share) and share >= 0):
        raise ValueError(f"the share of documents must be from 0, not {share}")

    def lifted(run: Run) -> Run:
        return Run(tuple(_lifted(answer, share, pages_of) for answer in run.answers)) if share else run

    return lifted


def _lifted(answer: Answer, share: float, pages_of: PagesOf) -> Answer:
    scores = minmax([hit.score for hit in answer.hits])
    owners = [document_of(hit.page) for hit in answer.hits]
    excess: dict[str, list[float]] = {}
    for owner, score in zip(owners, scores, strict=True):
        excess.setdefault(owner, []).append(math.expm1(SHARPNESS * score))
    pages = pages_of(excess.keys())
    shows = {
        owner: math.log1p(math.fsum(own) / max(pages.get(owner, 0), len(own))) / SHARPNESS
        for owner, own in excess.items()
    }
    return replace(
        answer,
        hits=ranked(
            replace(hit, score=score + share * shows[owner])
            for hit, score, owner in zip(answer.hits, scores, owners, strict=True)
        ),
    )
