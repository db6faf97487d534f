"""The numbers that are printed on pages, at head or foot, which people call them by."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from domain.page import Word

EDGE = 0.13
"""The share of a page's height, above and below, in which its number stands."""

MOST_NUMBERS = 12
"""Numbers in the edges of one page, at most: a table that reaches down there has more, and tells nothing."""

LEAST_PAGES = 3
SHARE = 0.4
"""So many pages, and this share of them, must count up together; a title page, plates and covers do without."""

LEAD = 2.0
"""How many times as many as count up in any other way."""

_NUMBER = re.compile(r"[-–—|\[(•·]*(?:page)?(\d{1,4})(?:/\d{1,4})?[-–—|\])•·.,]*", re.IGNORECASE)


def pages_before_one(pages: Iterable[tuple[int, Sequence[Word]]]) -> int | None:
    """How many pages stand before the one on which 1 is printed, or would be.

    Page numbers are what counts up with the pages: years, totals and footnotes at the edge of a page do not.

    Args:
        pages: each page's number, from 1, and the words of its text layer or OCR.

    Returns:
        0 where printed numbers are the pages' own; below 0 for an excerpt; None where nothing counts up.
    """
    votes, total = Counter[int](), 0
    for number, words in pages:
        total += 1
        votes.update({number - printed for printed in _at_the_edge(words)})
    (best, most), (_, next_most) = (*votes.most_common(2), (0, 0), (0, 0))[:2]
    if most < max(LEAST_PAGES, SHARE * total) or most < LEAD * next_most:
        return None
    return best


def _at_the_edge(words: Sequence[Word]) -> set[int]:
    found = {
        int(match[1])
        for word in words
        if (word.box.y1 < EDGE or word.box.y0 > 1 - EDGE) and (match := _NUMBER.fullmatch(word.text))
    }
    return found if len(found) <= MOST_NUMBERS else set()
