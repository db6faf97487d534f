"""Editions of a document, whose names differ in year or quarter alone: a question that names one asks for that one."""

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
_QUARTER = re.compile(
    r"(?<![a-z])q(?P<after>[1-4])(?=20\d\d|\D|$)|(?<![a-z\d])(?P<before>[1-4])q(?=\d\d|\D|$)"
    r"|\b(?P<spelled>first|second|third|fourth)[ -]quarter",
    re.IGNORECASE,
)
_YEAR_BEHIND = re.compile(r"(?<![a-z\d])(?:q[1-4]|[1-4]q)(?=20\d\d|'\d\d|(?<=q)\d\d)", re.IGNORECASE)
_SPELLED = ("first", "second", "third", "fourth")


def prefer_editions(extents_of: ExtentsOf) -> Stage:
    """Lower pages of the editions that a question does not ask for, where it names a year and that year's is there.

    "Capital expenditure in 2018" is then answered from `acme_2018.pdf` and not from `acme_2022.pdf`, which uses the
    same words. Of several years the last one counts that has an edition; a year without one is looked for in the
    edition after it. Of a year's editions, those of a quarter that the question names, where there are such. Rankings
    of questions that name no year stay as they are, and so do documents without editions.

    Args:
        extents_of: tells how documents are called.
    """

    def preferred(run: Run) -> Run:
        return Run(tuple(_preferred(answer, extents_of) for answer in run.answers))

    return preferred


def years(text: str) -> list[int]:
    """The years that a text names: "2018", "FY18", "2Q18"."""
    plain = _YEAR_BEHIND.sub(" fy", text.replace("_", " "))
    return [int(year) for year in _YEAR.findall(_SHORT.sub(r" 20\1 ", plain))]


def quarters(text: str) -> list[int]:
    """The quarters that a text names, from 1 to 4: "Q2 2018", "2Q18", "second quarter"."""
    found = _QUARTER.finditer(text.replace("_", " "))
    return [
        int(one["after"] or one["before"] or 1 + _SPELLED.index(one["spelled"].casefold())) for one in found
    ]


def _preferred(answer: Answer, extents_of: ExtentsOf) -> Answer:
    asked = years(answer.query.text)
    if not asked or not answer.hits:
        return answer
    extents = extents_of({document_of(hit.page) for hit in answer.hits})
    others = _others(asked, quarters(answer.query.text), extents)
    if not others:
        return answer
    scores = minmax([hit.score for hit in answer.hits])
    losses = (LOSS * (document_of(hit.page) in others) for hit in answer.hits)
    lowered = zip(answer.hits, scores, losses, strict=True)
    return replace(answer, hits=ranked(replace(hit, score=score - loss) for hit, score, loss in lowered))


def _others(asked: list[int], in_quarters: list[int], extents: Mapping[str, Extent]) -> frozenset[str]:
    """The documents beside which an edition stands that is asked for."""
    editions: dict[str, dict[str, tuple[int, int]]] = {}
    for doc, extent in extents.items():
        if found := _edition(extent.name):
            name, period = found
            editions.setdefault(name, {})[doc] = period
    others: set[str] = set()
    for own in editions.values():
        there = {year for year, _ in own.values()}
        wanted = max(there.intersection(asked), default=max(asked) + AFTER)
        meant = {period for period in own.values() if period[0] == wanted}
        meant = {period for period in meant if period[1] in in_quarters} or meant
        if meant:
            others |= {doc for doc, period in own.items() if period not in meant}
    return frozenset(others)


@lru_cache(maxsize=4096)
def _edition(name: str) -> tuple[str, tuple[int, int]] | None:
    """What editions of a document share in their names, and this one's year and quarter; None where it has no year.

    A name without a quarter has 0.
    """
    year, quarter = years(name), quarters(name)
    return (_DIGITS.sub("#", name).casefold(), (year[0], quarter[0] if quarter else 0)) if year else None
