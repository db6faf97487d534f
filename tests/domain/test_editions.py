"""Editions of a document: the one of the year that a question names comes first."""

from collections.abc import Collection, Mapping

import pytest

from domain.documents import Extent
from domain.editions import prefer_editions, quarters, years
from domain.page import Hit, Query
from domain.run import Answer, Run

NAMES = {
    "a": "ACME_2015_10K.pdf",
    "b": "acme_2018_10k.pdf",
    "c": "ACME_2022_10K.pdf",
    "d": "OTHER_2015_10K.pdf",
    "e": "handbook.pdf",
    "f": "2015.pdf",
    "g": "2018.pdf",
    "h": "20150102X00002.pdf",
    "i": "ACME_2018Q1_10Q.pdf",
    "j": "ACME_2018Q2_10Q.pdf",
    "k": "ACME_2019Q1_10Q.pdf",
}


def extents(documents: Collection[str]) -> Mapping[str, Extent]:
    return {doc: Extent(9, name=NAMES[doc]) for doc in documents if doc in NAMES}


def order(question: str, documents: str) -> str:
    """The order of documents whose pages' scores fall from .9 by .05."""
    hits = tuple(Hit(f"{doc}/0001", 0.9 - 0.05 * place) for place, doc in enumerate([*documents, "z"]))
    answer = Answer(Query("q", question), (*hits, Hit("y/0001", 0.0)))
    found = prefer_editions(extents)(Run((answer,))).answers[0].hits
    return "".join(hit.page[0] for hit in found if hit.page[0] not in "yz")


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("sales in 2018", "bac"),
        ("sales in FY18", "bac"),
        ("sales of fiscal '15", "abc"),
        ("sales from 2015 to 2018", "bac"),
        ("sales in 2021", "cab"),
        ("sales in 2019", "abc"),
        ("sales", "abc"),
        ("article 20180", "abc"),
    ],
)
def test_the_edition_of_the_last_year_asked_for_comes_first(question: str, expected: str) -> None:
    assert order(question, "abc") == expected


@pytest.mark.parametrize("documents", ["de", "ad", "eb", "ha", "gf"])
def test_documents_without_another_edition_keep_their_places(documents: str) -> None:
    assert order("sales in 2018", documents) == documents


def test_files_that_are_called_by_their_year_are_editions_too() -> None:
    assert order("sales in 2018", "fg") == "gf"


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("sales in Q2 2018", "jik"),
        ("sales in 2q18", "jik"),
        ("sales in Q22018", "jik"),
        ("sales of the second quarter of fiscal 2018", "jik"),
        ("sales in 2018", "ijk"),
        ("sales in Q3 2018", "ijk"),
        ("sales in the first quarter of 2019", "kij"),
        ("sales in Q1", "ijk"),
        ("from Q2 of FY2018 to FY2017", "jik"),
    ],
)
def test_of_a_year_s_editions_the_one_of_the_quarter_asked_for_comes_first(
    question: str, expected: str
) -> None:
    assert order(question, "ijk") == expected


def test_a_page_that_fits_much_better_stays_first() -> None:
    answer = Answer(Query("q", "sales in 2018"), (Hit("a/0001", 0.9), Hit("b/0001", 0.1), Hit("c/0001", 0.0)))
    assert [hit.page[0] for hit in prefer_editions(extents)(Run((answer,))).answers[0].hits] == [
        "a",
        "b",
        "c",
    ]


def test_an_empty_ranking_stays_one() -> None:
    assert prefer_editions(extents)(Run.ask(Query("q", "2018"))).answers[0].hits == ()


def test_years_are_read_in_full_and_short() -> None:
    assert years("FY2018, fy 19 and FY'20; 1999 but not 12018 or fy123") == [2018, 2019, 2020, 1999]


def test_quarters_are_read_before_and_after_their_letter_and_spelled_out() -> None:
    assert quarters(
        "Q2 of FY2024, 3Q19, Q12023, ACME_2023Q4_10Q and the First Quarter, not Q5, 10Q or faq2"
    ) == [2, 3, 1, 4, 1]
    assert years("Q22023, 3Q19, Q4'18, ACME_2017Q4_10Q, the first quarter of 2020") == [
        2023,
        2019,
        2018,
        2017,
        2020,
    ]
