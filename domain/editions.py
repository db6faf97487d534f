"""Editions of a document, whose names differ in the year alone: a question that names a year asks for that year's."""

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

from domain.documents import Extent, ExtentsOf
from domain.fusion import minmax
from domain.page import document_of
from domain.run import Answer, Run, ranked
from domain.stage import Stage

LOSS = 0.2
"""What pages of other editions lose of a score stretched to [0, 1]."""

AFTER = 1
"""Years later that an edition may be which still tells of a year: a report gives last year's figures beside its own."""

_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)")
_SHORT = re.compile(r"\bfy ?'?(\d\d)(?!\d)", re.IGNORECASE)
_DIGITS = re.compile(r"\d+")


def prefer_editions(extents_of: ExtentsOf) -> Stage:
    """Lower pages of the editions that a question does not ask for, where it names a year and that year's is there.

    "Capital expenditure in 2018" is then answered from `acme_2018.pdf` and not from `acme_2022.pdf`, which uses the
    same words. Of several years the last one counts that has an edition; a year without one is looked for in the
    edition after it. Rankings of questions that name no year stay as they are, and so do documents without editions.

    Args:
        extents_of: tells how documents are called.
    """

    def preferred(run: Run) -> Run:
        return Run(tuple(_preferred(answer, extents_of) for answer in run.answers))

    return preferred


def years(text: str) -> list[int]:
    """The years that a text names: "2018", "FY18", "FY2018"."""
    return [int(year) for year in _YEAR.findall(_SHORT.sub(r" 20\1 ", text.replace("_", " ")))]


def _preferred(answer: Answer, extents_of: ExtentsOf) -> Answer:
    asked = years(answer.query.text)
    if not asked or not answer.hits:
        return answer
    others = _others(asked, extents_of({document_of(hit.page) for hit in answer.hits}))
    if not others:
        return answer
    scores = minmax([hit.score for hit in answer.hits])
    losses = (LOSS * (document_of(hit.page) in others) for hit in answer.hits)
    lowered = zip(answer.hits, scores, losses, strict=True)
    return replace(answer, hits=ranked(replace(hit, score=score - loss) for hit, score, loss in lowered))


def _others(asked: list[int], extents: Mapping[str, Extent]) -> frozenset[str]:
    """The documents beside which an edition stands that is asked for."""
    editions: dict[str, dict[str, int]] = {}
    for doc, extent in extents.items():
        if found := _edition(extent.name):
            name, year = found
            editions.setdefault(name, {})[doc] = year
    others: set[str] = set()
    for own in editions.values():
        there = set(own.values())
        wanted = max(there.intersection(asked), default=max(asked) + AFTER)
        if wanted in there:
            others |= {doc for doc, year in own.items() if year != wanted}
    return frozenset(others)


@lru_cache(maxsize=4096)
def _edition(name: str) -> tuple[str, int] | None:
    """What editions of a document share in their names, and this one's year; None where the name has none."""
    found = _YEAR.search(name)
    return (_DIGITS.sub("#", name).casefold(), int(found[0])) if found else None
