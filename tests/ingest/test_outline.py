"""A document's own table of contents, read off its pages."""

from collections.abc import Sequence

import pytest

from domain.outline import Outline
from domain.page import Box, Word
from domain.words import split
from ingest.outline import SURE, Body, before_one_by_list, listing, outline

PARTS = {
    "Safety first": 3, "Putting up the tent": 5, "Care of ropes": 9, "Repairs at sea": 14, "Spare poles": 20,
}  # fmt: skip
LINES = tuple(f"{title} ...... {number}" for title, number in PARTS.items())


def page(*lines: str) -> tuple[Word, ...]:
    """Lines from the top, words from the left."""
    return tuple(
        Word(text, Box(0.1 + 0.05 * at, 0.1 + 0.03 * row, 0.14 + 0.05 * at, 0.12 + 0.03 * row))
        for row, line in enumerate(lines)
        for at, text in enumerate(line.split())
    )


def book(before: int, *, pages: int = 30) -> list[str]:
    """The text of each page; the parts begin `before` pages behind their number."""
    texts = ["nothing of note"] * pages
    for title, number in PARTS.items():
        texts[number + before - 1] = f"{title} begins here"
    return texts


def read(texts: Sequence[str], at: int, lines: Sequence[str], before: int | None) -> Outline:
    found = listing(page(*lines), len(texts))
    return outline({at: found}, Body(len(texts), before, lambda number: split(texts[number - 1])))


@pytest.mark.parametrize("dots", ["......", "", "· · ·", "…"])
def test_lines_that_end_in_rising_page_numbers_are_a_list_of_parts(dots: str) -> None:
    lines = [f"{title} {dots} {number}" for title, number in PARTS.items()]
    assert listing(page("Contents", *lines), 30) == list(PARTS.items())
    leaders = [f"{title}........{number}" for title, number in PARTS.items()]
    assert listing(page("Contents", *leaders), 30) == list(PARTS.items())


@pytest.mark.parametrize(
    "lines",
    [
        LINES[:4],  # too few
        [f"sales of apples {number}" for number in (9, 4, 7, 2, 5, 1)],  # falling
        [f"rows of pears {number}" for number in (1, 1, 2, 2, 3, 3)],  # small figures
        [f"{title} {1000 + number}" for title, number in PARTS.items()],  # more than there are pages
        [*LINES, *["a line of running text without a number"] * 12],
        ["3", "5", "9", "14", "20", "21"],
    ],
)
def test_other_pages_list_nothing(lines: Sequence[str]) -> None:
    assert not listing(page(*lines), 30)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("before", [0, 2, 6])
def test_a_list_leads_to_the_pages_on_which_its_parts_begin(before: int, known: bool) -> None:  # noqa: FBT001 - a case
    found = read(book(before), 2, LINES, before if known else None)
    assert found == Outline((2,), tuple((number + before, title) for title, number in PARTS.items()))


def test_an_appendix_that_counts_its_own_pages_is_found_from_where_its_list_stands() -> None:
    texts = ["something else"] * 40 + book(0)
    found = read(texts, 41, LINES, 0)
    assert found.parts[0] == (43, "Safety first")
    assert found.listed_on == (41,)


def test_a_list_that_leads_nowhere_is_none_and_a_line_that_does_is_left_out() -> None:
    assert not read(["nothing of note"] * 30, 2, LINES, 0)
    texts = book(0)
    texts[PARTS["Care of ropes"] - 1] = "torn out"
    assert [title for _, title in read(texts, 2, LINES, 0).parts] == [
        t for t in PARTS if t != "Care of ropes"
    ]


@pytest.mark.parametrize(("at", "parts", "before"), [(2, SURE, 4), (2, SURE - 1, None), (20, SURE, None)])
def test_a_list_of_many_parts_at_the_front_says_how_pages_are_numbered(
    at: int, parts: int, before: int | None
) -> None:
    titles = {f"part{'abcdefgh'[number]} of the whole": 2 * number + 1 for number in range(parts)}
    texts = ["nothing of note"] * 30
    for title, number in titles.items():
        texts[number + 4 - 1] = title
    listings = {at: listing(page(*(f"{title} {number}" for title, number in titles.items())), 30)}
    found = outline(listings, Body(30, None, lambda number: split(texts[number - 1])))
    assert len(found.parts) == parts
    assert before_one_by_list(listings, found) == before
