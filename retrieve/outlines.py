"""Pages on which a part begins that the question names: documents' own tables of contents lead there."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from domain.documents import Extent, ExtentsOf
from domain.fusion import minmax
from domain.page import PageId, document_of, page_id
from domain.run import Answer, Run, marked_once, ranked
from domain.stage import Stage
from domain.words import split
from retrieve.words import content

STAGE = "outline"
"""The stage's name in the trace of a page on which a part begins that the question names."""

GAIN = 0.2
"""What such a page gains on a ranking stretched to [0, 1], in the document of the best page."""

LOSS = 0.3
"""What a page that lists the parts loses there, unless the question asks for one: it says all and tells nothing."""

DOUBT = 4
"""The power of its document's best score by which a page gains less: every filing has a balance sheet."""

LEAST = 0.6
"""The share of a title's words, at least, that the question must say."""

_ASKED = re.compile(
    r"\b(?:contents|chapters?|(?:sub)?sections?|appendi(?:x|xes|ces)|outline|(?:list|index) of|listed)\b",
    re.IGNORECASE,
)
_NUMBERED = re.compile(
    r"^\W*(?:(?:item|part|note|article|section|chapter|appendix|annex|exhibit)\b\W*)?(?:[\divx.\-]+[a-z]?\b\W*)*",
    re.IGNORECASE,
)
_PLURAL = re.compile(r"(?:ies|es|s)$")
_DATED = re.compile(r"\b(?:as of|as at|for the|at (?:december|january))\b.*", re.IGNORECASE)


def lift_parts(extents_of: ExtentsOf) -> Stage:
    """Lift the pages on which a part begins whose title the question says, and lower those that list the parts.

    Scores are stretched to [0, 1] before. Rankings without such pages stay as they are.

    Args:
        extents_of: tells what documents list as their parts.
    """

    def lifted(run: Run) -> Run:
        return Run(tuple(_lifted(answer, extents_of) for answer in run.answers))

    return lifted


def _lifted(answer: Answer, extents_of: ExtentsOf) -> Answer:
    found = extents_of({document_of(hit.page) for hit in answer.hits})
    extents = {doc: extent for doc, extent in found.items() if extent.outline}
    said = [_terms(phrase) for phrase in (answer.query.text, *answer.query.also)]
    gains = _gains(extents, said)
    lists = set() if _ASKED.search(answer.query.text) else _lists(extents)
    if not any(hit.page in gains or hit.page in lists for hit in answer.hits):
        return answer
    scored = list(zip(answer.hits, minmax([hit.score for hit in answer.hits]), strict=True))
    best: dict[str, float] = {}
    for hit, score in scored:
        doc = document_of(hit.page)
        best[doc] = max(score, best.get(doc, 0.0))
    gained = {page: GAIN * covered * best[document_of(page)] ** DOUBT for page, covered in gains.items()}
    hits = ranked(
        replace(hit, score=score + gained.get(hit.page, 0.0) - LOSS * (hit.page in lists))
        for hit, score in scored
    )
    return replace(answer, hits=marked_once(hits, STAGE, gains))


def _gains(extents: Mapping[str, Extent], said: Sequence[frozenset[str]]) -> dict[PageId, float]:
    """How much of its title is said, by the page on which a part begins."""
    gains: dict[PageId, float] = {}
    anything = frozenset[str]().union(*said)
    for doc, extent in extents.items():
        for number, text in extent.outline.parts:
            title = _title(text)
            if not title.isdisjoint(anything) and (covered := _covered(title, said)) >= LEAST:
                page = page_id(doc, number)
                gains[page] = max(covered, gains.get(page, 0.0))
    return gains


def _lists(extents: Mapping[str, Extent]) -> set[PageId]:
    return {page_id(doc, number) for doc, extent in extents.items() for number in extent.outline.listed_on}


def _covered(title: frozenset[str], said: Sequence[frozenset[str]]) -> float:
    """The share of a title that the question says, of two words and more, or that is said in its place and no more."""
    asked, *others = said
    shares = [len(title & asked) / len(title)] if len(title) > 1 else []
    shares += [len(title & other) / max(len(title), len(other)) for other in others]
    return max(shares, default=0.0)


@lru_cache(maxsize=100_000)
def _title(text: str) -> frozenset[str]:
    return _terms(_DATED.sub("", _NUMBERED.sub("", text)))


def _terms(text: str) -> frozenset[str]:
    """The words that tell, without their plural."""
    return frozenset(_PLURAL.sub("", word) for word in content(split(text)) if not word[0].isdigit())
