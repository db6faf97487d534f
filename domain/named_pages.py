"""Pages that a question names by their number ("the chart on page 14", "slides 3 to 5", "on the cover")."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from domain.documents import Extent, ExtentsOf
from domain.fusion import minmax
from domain.page import Hit, PageId, document_of, page_id
from domain.run import Answer, Run, marked_once, ranked
from domain.stage import Stage

Searchable = Callable[[Collection[PageId]], Collection[PageId]]
"""Which of these pages there are and can be found."""

STAGE = "named"
"""The stage's name in the trace of a page that the question names."""

GAIN = 1.1
"""What a named page gains on a ranking stretched to [0, 1]: a little more than lies between its ends."""

SECOND_READING = 0.6
"""The share of it for a page whose number, counted from the first page, is named where another is printed on it."""

MOST = 50
"""Pages that a question names, at most; what it lists beyond is no list of pages."""

_CARDINALS = [
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
]
_ORDINALS = [
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "last",
]
_NUMBER = rf"(?:\d{{1,4}}|{'|'.join(_CARDINALS)})(?![\w%]|[.,:]\d)"
_KEY = r"(?:(?:pages?|slides?|seiten?|folien?|p[áa]ginas?|diapositiv[aeo]s?)\s+|(?:pgs?\.|pp?\.)\s*)"
_MARK = r"(?:(?:no\.|nos\.|nr\.|number|numbers|#)\s*)?"
_UPTO = r"(?:to|through|until|bis|[-–—])"
_AND = r"(?:,\s*(?:and|or)|,|and|or|und|oder|et|ou|[yeo]|&)"
_LIST = re.compile(
    # a name in quotes is an example of how to answer: ["page 2", "page 4"]
    rf"(?<![\w\"'“‘]){_KEY}{_MARK}"
    rf"(?P<numbers>{_NUMBER}(?:\s*(?:{_UPTO}|{_AND})\s*(?:{_KEY})?{_MARK}{_NUMBER})*)",
    re.IGNORECASE,
)
_SPAN = re.compile(
    rf"(?P<low>{_NUMBER})(?:\s*{_UPTO}\s*(?:{_KEY})?{_MARK}(?P<high>{_NUMBER}))?", re.IGNORECASE
)
_PLACED = re.compile(
    rf"\b(?P<place>{'|'.join(_ORDINALS)})\s+(?:(?P<many>{_NUMBER})\s+)?(?:pages?|slides?)\b", re.IGNORECASE
)
_COVER = re.compile(
    r"\b(?:on|of|in|from)\s+(?:the|its)\s+(?P<back>back\s+)?(?:front\s+)?cover(?:\s+page)?\s*(?:[.,;:!?)]|$|of\b)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class NamedPages:
    """What a question says of where to look.

    Attributes:
        numbers: page numbers, printed or counted.
        places: places counted from the first page, 1, or from the last, -1.
    """

    numbers: frozenset[int] = frozenset()
    places: frozenset[int] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.numbers or self.places)

    def of(self, extent: Extent) -> dict[int, float]:
        """The pages of such a document that are meant, by number from 1, and how surely, up to 1."""
        found = dict.fromkeys(self.numbers, SECOND_READING if extent.before else 1.0)
        if extent.before is not None:
            found |= dict.fromkeys((number + extent.before for number in self.numbers), 1.0)
        found |= dict.fromkeys((at if at > 0 else extent.pages + 1 + at for at in self.places), 1.0)
        return {number: sure for number, sure in found.items() if 1 <= number <= extent.pages}


def named_pages(text: str) -> NamedPages:
    """The pages that a question names; none where it names none, or more than anybody would list."""
    numbers = {
        number
        for found in _LIST.finditer(text)
        for span in _SPAN.finditer(found["numbers"])
        for number in _range(_value(span["low"]), _value(span["high"] or span["low"]))
    }
    places = {at for found in _PLACED.finditer(text) for at in _places(found["place"], found["many"])}
    places |= {-1 if found["back"] else 1 for found in _COVER.finditer(text)}
    if len(numbers) + len(places) > MOST:
        return NamedPages()
    return NamedPages(frozenset(numbers), frozenset(places))


def lift_named(extents_of: ExtentsOf, searchable: Searchable | None = None) -> Stage:
    """Add `GAIN` to the score, stretched to [0, 1], of pages that the question names by their number.

    They are looked for in every document of the ranking, by the printed number where one is known, and by the
    count from the first page. Rankings of questions that name none stay as they are.

    Args:
        extents_of: tells how long documents are and how they are numbered.
        searchable: given, named pages that are not in the ranking enter it, as the last of their document.
    """

    def lifted(run: Run) -> Run:
        return Run(tuple(_lifted(answer, extents_of, searchable) for answer in run.answers))

    return lifted


def _lifted(answer: Answer, extents_of: ExtentsOf, searchable: Searchable | None) -> Answer:
    named = named_pages(answer.query.text)
    if not named or not answer.hits:
        return answer
    scores = minmax([hit.score for hit in answer.hits])
    found = {hit.page: replace(hit, score=score) for hit, score in zip(answer.hits, scores, strict=True)}
    least: dict[str, float] = {}
    for page, hit in found.items():
        least[document_of(page)] = min(hit.score, least.get(document_of(page), 1.0))
    sure = _sure(named, extents_of(least.keys()))
    if searchable:
        entering = searchable([page for page in sure if page not in found])
        found |= {page: Hit(page, least[document_of(page)]) for page in entering}
    hits = ranked(replace(hit, score=hit.score + GAIN * sure.get(page, 0.0)) for page, hit in found.items())
    return replace(answer, hits=marked_once(hits, STAGE, sure))


def _sure(named: NamedPages, extents: Mapping[str, Extent]) -> dict[PageId, float]:
    return {
        page_id(doc, number): sure
        for doc, extent in extents.items()
        for number, sure in named.of(extent).items()
    }


def _range(low: int, high: int) -> range:
    return range(low, high + 1) if low <= high else range(high, low + 1)


def _places(place: str, many: str | None) -> Iterable[int]:
    """The first, the second, the last; the first three, the last two."""
    if place.lower() == "last":
        return range(-_value(many or "one"), 0)
    at = _ORDINALS.index(place.lower()) + 1
    return range(at, at + _value(many or "one"))


def _value(number: str) -> int:
    return int(number) if number.isdigit() else _CARDINALS.index(number.lower()) + 1
