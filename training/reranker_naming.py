"""Documents that questions name: what a document's opening says, and questions that say it too."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from zlib import crc32

from domain import words
from rerank.builtin.pairs import OPENING
from training.reranker_pages import Asked, WordPage

RAREST = 8
"""Of so many words of an opening, those that the fewest openings have, one is what a question names."""

_SHORTEST = 4
_FORMS: tuple[Callable[[str, str], str], ...] = (
    lambda asked, name: f"{asked} {name}",
    lambda asked, name: f"{name}: {asked}",
    lambda asked, name: f"in the {name} document, {asked}",
    lambda asked, name: f"for {name}, {asked}",
    lambda asked, name: f"{asked.rstrip('?. ')} in {name}?",
    lambda asked, name: f"{asked.rstrip('?. ')} according to {name}?",
    lambda asked, name: f"{asked.rstrip('?. ')} for {name}?",
)


def with_openings(pages: Sequence[WordPage], *, untitled: float) -> list[WordPage]:
    """Each document's first words with all its pages; a share of the documents lose their title.

    Args:
        pages: a document's pages one after the other.
        untitled: the share, as that of real PDFs which carry no title.
    """
    found = []
    for page, first in zip(pages, first_pages(pages), strict=True):
        bare = crc32(page.document.encode()) % 1000 < 1000 * untitled
        opening = pages[first].words[:OPENING]
        found.append(replace(page, opening=opening, title="" if bare else page.title))
    return found


def first_pages(pages: Sequence[WordPage]) -> list[int]:
    """The place of the first page of each page's document."""
    first: dict[str, int] = {}
    return [first.setdefault(page.document, place) for place, page in enumerate(pages)]


def named(asked: Sequence[Asked], pages: Sequence[WordPage], *, share: float, seed: int) -> list[Asked]:
    """A share of the questions, of those that nobody wrote, with words of their document's opening or title in them.

    People ask for "drug X" or "company Y in 2016" what stands on a page that names neither.

    Args:
        asked: the questions.
        pages: what they ask for, with openings and titles.
        share: how many of them, from 0 to 1.
        seed: decides which, and the words.
    """
    chance = random.Random(seed)
    first = first_pages(pages)
    openings = {place: pages[place].words[:OPENING] for place in set(first)}
    spread = Counter(word for own in openings.values() for word in set(own))
    found = []
    for one in asked:
        place = first[one.pages[0]]
        name = _name(openings[place], pages[one.pages[0]].title, spread, chance)
        if name and not one.written and chance.random() < share:
            found.append(replace(one, text=chance.choice(_FORMS)(one.text, name)))
        else:
            found.append(one)
    return found


def _name(opening: Sequence[str], title: str, spread: Counter[str], chance: random.Random) -> str:
    """The title, or a rare word of the opening with its neighbours; at times with a year."""
    told = words.split(title)
    if told and chance.random() < 0.3:
        return " ".join(told[:6])
    usable = [at for at, word in enumerate(opening) if len(word) >= _SHORTEST and not word[0].isdigit()]
    if not usable:
        return ""
    at = chance.choice(sorted(usable, key=lambda at: (spread[opening[at]], at))[:RAREST])
    name = " ".join(opening[max(0, at - chance.randint(0, 1)) : at + chance.randint(1, 2)])
    years = [word for word in opening if len(word) == 4 and word.isdigit() and word[:2] in {"19", "20"}]
    return f"{name} {years[0]}" if years and chance.random() < 0.3 else name
