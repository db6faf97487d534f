"""Reads a document's own table of contents off its pages, and finds the pages to which its lines lead."""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from domain import words as spelling
from domain.outline import Outline
from domain.page import Word

LEAST_LINES = 5
"""Lines that end in a page's number, at least, and"""
LISTED = 0.3
"""the share of a page's lines that do, from which on it is a list of the document's parts."""

RISING = 0.8
"""The share of the numbers, at least, that never fall from line to line."""

SPREAD = 4
"""Different numbers, at least, and pages from the first to the last: rows of small figures have fewer."""

LEAST_PARTS = 3
"""Lines of a list that lead to a page with their words, at least, or it is none."""

SAME_LINE = 0.5
"""Words less than this share of their height apart stand on one line."""

FOUND = 0.6
"""The share of a title's words that the page on which the part begins holds."""

TOP = 40
"""The first words of a page, among which the title of a part that begins there is likelier to stand."""

MOST_PARTS = 400

FRONT = 12
"""Pages from the first among which the list of the whole document stands, and not that of an appendix."""

SURE = 8
"""Parts, at least, by which printed numbers are known that cannot be read off the pages themselves."""

Listing = Sequence[tuple[str, int]]
"""Titles and the numbers behind them, from the top."""
WordsOf = Callable[[int], Sequence[str]]
"""The words of a page, from 1, in reading order and as `domain.words` splits them."""

_LINE = re.compile(r"(?P<title>.*?[^\W\d_]{2}.*?)[\s.·…_]*(?<=[\s.·…_])(?P<number>\d{1,4})")


def listing(words: Sequence[Word], pages: int) -> Listing:
    """The lines of a page that lists a document's parts with their page numbers; none of any other page.

    Args:
        words: of the page's text layer or OCR.
        pages: how many pages the document has.
    """
    lines = list(_lines(words))
    found = [(match["title"], int(match["number"])) for line in lines if (match := _LINE.fullmatch(line))]
    found = [(title, number) for title, number in found if number <= pages + SPREAD]
    numbers = [number for _, number in found]
    if len(found) < max(LEAST_LINES, LISTED * len(lines)) or len(set(numbers)) < SPREAD:
        return ()
    if max(numbers) - min(numbers) < SPREAD or _rising(numbers) < RISING * len(numbers):
        return ()
    return found


@dataclass(frozen=True, slots=True)
class Body:
    """The document that lists are read of.

    Attributes:
        pages: how many it has.
        before: how many of them stand before the one on which 1 is printed, where that is known.
        words_of: gives the words of a page.
    """

    pages: int
    before: int | None
    words_of: WordsOf


def outline(listings: Mapping[int, Listing], body: Body) -> Outline:
    """Where the lines of lists lead: to pages that hold the words of the title.

    A line's number is the one printed on the page. Where nobody knows how these count, or where the list leads
    nowhere so (one of a part that counts its own pages), numbers are shifted alike, by what finds most titles at the
    top of the pages. A list that leads nowhere at all is none.

    Args:
        listings: what `listing` found, by page.
        body: the document.
    """
    listed, parts = [], list[tuple[int, str]]()
    for at, lines in listings.items():
        known = _Way.of(lines, body.before or 0, body, listings.keys())
        if body.before is None or 2 * len(known.parts) < len(lines):
            near = sorted({*range(-2, min(at, 8)), *range(max(at - 2, 0), at + 6)})
            others = (_Way.of(lines, shift, body, listings.keys()) for shift in near)
            known = max((known, *others), key=lambda way: len(way.parts) + way.at_the_top)
        if len(known.parts) >= LEAST_PARTS:
            listed.append(at)
            parts += known.parts
    return Outline(tuple(listed), tuple(sorted(set(parts))[:MOST_PARTS]))


def before_one_by_list(listings: Mapping[int, Listing], found: Outline) -> int | None:
    """How many pages stand before the one on which 1 is printed, by its first list; None if it says little."""
    if not found.listed_on or found.listed_on[0] > FRONT:
        return None
    numbers = dict(listings[found.listed_on[0]])
    shifts = Counter(page - numbers[title] for page, title in found.parts if title in numbers)
    (shift, parts), *_ = shifts.most_common(1)
    return shift if parts >= SURE else None


@dataclass(frozen=True, slots=True)
class _Way:
    """Where a list leads with its numbers shifted: the parts found, and how many of them at the top of their page."""

    parts: list[tuple[int, str]]
    at_the_top: int

    @classmethod
    def of(cls, lines: Listing, shift: int, body: Body, lists: AbstractSet[int]) -> "_Way":
        parts, top = [], 0
        for title, number in lines:
            page, telling = number + shift, _telling(title)
            if not (telling and 1 <= page <= body.pages and page not in lists):
                continue
            there = body.words_of(page)
            if len(telling.intersection(there)) >= FOUND * len(telling):
                parts.append((page, title))
                top += len(telling.intersection(there[:TOP])) >= FOUND * len(telling)
        return cls(parts, top)


def _telling(title: str) -> set[str]:
    return {word for word in spelling.split(title) if len(word) > 2 and not word.isdigit()}


def _lines(words: Sequence[Word]) -> Iterator[str]:
    line: list[Word] = []
    for word in sorted(words, key=lambda word: word.box.y0 + word.box.y1):
        if line and not _beside(line[-1], word):
            yield _joined(line)
            line = []
        line.append(word)
    if line:
        yield _joined(line)


def _beside(one: Word, other: Word) -> bool:
    apart = abs(one.box.y0 + one.box.y1 - other.box.y0 - other.box.y1) / 2
    return apart < SAME_LINE * max(other.box.y1 - other.box.y0, 1e-3)


def _joined(line: Sequence[Word]) -> str:
    return " ".join(word.text for word in sorted(line, key=lambda word: word.box.x0))


def _rising(numbers: Sequence[int]) -> int:
    """The length of the longest run, gaps allowed, that never falls."""
    ends: list[int] = []
    for number in numbers:
        at = bisect_right(ends, number)
        ends[at : at + 1] = [number]
    return len(ends)
