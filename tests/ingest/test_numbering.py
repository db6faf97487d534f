"""Printed page numbers are what counts up with the pages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.page import Box, Word
from ingest.numbering import LEAST_PAGES, pages_before_one

FOOT, MIDDLE = 0.95, 0.5


def word(text: str, at: float = FOOT) -> Word:
    return Word(text, Box(0.4, at - 0.01, 0.45, at + 0.01))


def numbered(total: int, before: int, form: str = "{}") -> list[tuple[int, list[Word]]]:
    """Pages with a year at their head, and their printed number at their foot from the one that is 1 on."""
    return [
        (n, [word("2023", 0.03), *([word(form.format(n - before))] if n > before else [])])
        for n in range(1, total + 1)
    ]


@given(st.integers(8, 40), st.integers(0, 4))
def test_front_matter_without_numbers_is_counted(total: int, before: int) -> None:
    assert pages_before_one(numbered(total, before)) == before


@pytest.mark.parametrize("form", ["{}", "- {} -", "–{}–", "[{}]", "{}.", "{}/30", "Page{}", "|{}"])
def test_numbers_are_known_in_their_usual_dress(form: str) -> None:
    pages = [(n, [word(part) for part in form.format(n - 2).split()]) for n in range(3, 20)]
    assert pages_before_one(pages) == 2


def test_an_excerpt_begins_later() -> None:
    assert pages_before_one(numbered(12, -1200)) == -1200


def test_pages_without_a_number_between_others_do_not_matter() -> None:
    pages = numbered(20, 3)
    for at in (5, 9, 10):
        pages[at] = (at + 1, [])
    assert pages_before_one(pages) == 3


@pytest.mark.parametrize(
    "pages",
    [
        [],
        [(n, []) for n in range(1, 30)],
        [(n, [word("2023"), word("17", 0.02)]) for n in range(1, 30)],  # the same on every page
        [(n, [word(str(n), MIDDLE)]) for n in range(1, 30)],  # in the text, not at its edge
        [(n, [word(str(n + at)) for at in range(20)]) for n in range(1, 30)],  # a table at the foot
        [(n, [word(str(n)), word(str(n + 5))]) for n in range(1, 30)],  # two that count alike
        numbered(LEAST_PAGES - 1, 0),
        [*numbered(5, 0), *((n, []) for n in range(6, 40))],  # too few of them
        [(n, [word("1a"), word("iv"), word("12345")]) for n in range(1, 9)],
    ],
)
def test_what_does_not_count_up_alone_is_no_page_number(pages: list[tuple[int, list[Word]]]) -> None:
    assert pages_before_one(pages) is None
