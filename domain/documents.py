"""Documents speak for their pages: where many pages of a document fit a question, each of them gains."""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace

from domain.fusion import minmax
from domain.outline import Outline
from domain.page import document_of
from domain.run import Answer, Run, ranked
from domain.stage import Stage


@dataclass(frozen=True, slots=True)
class Extent:
    """How long a document is, how its pages are numbered in print, what parts it has and what it is called.

    Attributes:
        pages: how many it has.
        before: how many pages stand before the one whose printed number is 1 (below 0: an excerpt that begins
            later); None where no numbers are printed, or none that count up with the pages.
        outline: its parts, as it lists them itself.
        name: what it is called.
    """

    pages: int
    before: int | None = None
    outline: Outline = field(default_factory=Outline)
    name: str = ""

    def printed(self, number: int) -> int | None:
        """The number printed on a page, where it is known and is another than the page's own, from 1."""
        if not self.before or number <= self.before:
            return None
        return number - self.before


ExtentsOf = Callable[[Collection[str]], Mapping[str, Extent]]
"""The extent of each of these documents (by id); one that it does not know has the pages in the ranking."""

SHARPNESS = 6.0
"""How much a document's best pages count before its many; chosen with the usual share (docs/decisions/0093)."""


def lift_documents(share: float, extents_of: ExtentsOf) -> Stage:
    """Add to each page's score, stretched to [0, 1], a share of what its document shows as a whole.

    A document shows the soft mean of its pages' scores, log(mean(exp(SHARPNESS * score))) / SHARPNESS; pages that are
    not in the ranking count 0. The mean, and not the sum, keeps long documents from winning by their length. Pages of
    one document keep their order.

    Args:
        share: from 0; 0 leaves rankings as they are.
        extents_of: tells how long documents are.

    Raises:
        ValueError: the share is negative or not finite.

    Source: Callan, SIGIR 1994 (passages and their documents' evidence combined).
    """
    if not (math.isfinite(share) and share >= 0):
        raise ValueError(f"the share of documents must be from 0, not {share}")

    def lifted(run: Run) -> Run:
        return Run(tuple(_lifted(answer, share, extents_of) for answer in run.answers)) if share else run

    return lifted


def _lifted(answer: Answer, share: float, extents_of: ExtentsOf) -> Answer:
    scores = minmax([hit.score for hit in answer.hits])
    owners = [document_of(hit.page) for hit in answer.hits]
    excess: dict[str, list[float]] = {}
    for owner, score in zip(owners, scores, strict=True):
        excess.setdefault(owner, []).append(math.expm1(SHARPNESS * score))
    extents = extents_of(excess.keys())
    shows = {
        owner: math.log1p(math.fsum(own) / max(extents.get(owner, Extent(0)).pages, len(own))) / SHARPNESS
        for owner, own in excess.items()
    }
    return replace(
        answer,
        hits=ranked(
            replace(hit, score=score + share * shows[owner])
            for hit, score, owner in zip(answer.hits, scores, owners, strict=True)
        ),
    )
