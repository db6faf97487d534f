"""The laws of pages that a question names by their number."""

from collections.abc import Collection

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.documents import Extent
from domain.named_pages import MOST, SECOND_READING, STAGE, NamedPages, lift_named, named_pages
from domain.page import Hit, Query
from domain.run import Answer, Run, ranked

EXTENTS = {"a": Extent(30), "b": Extent(8, before=2), "c": Extent(400, before=0)}
PAGES = tuple(f"{doc}/{number:04d}" for doc in EXTENTS for number in range(1, 9))
NUMBERS = st.integers(1, 9)
PLAIN = ("how high are the rates of 2014?", "a report of 12 pages", "homepage 3", "pages of 10-K filings")


def answers(text: st.SearchStrategy[str]) -> st.SearchStrategy[Answer]:
    scores = st.integers(-40, 40).map(lambda number: number / 8)
    hits = st.lists(
        st.builds(Hit, st.sampled_from(PAGES), scores), unique_by=lambda hit: hit.page, min_size=1
    )
    return st.builds(lambda asked, found: Answer(Query("q", asked), ranked(found)), text, hits)


def extents_of(documents: Collection[str]) -> dict[str, Extent]:
    return {doc: EXTENTS[doc] for doc in documents}


def lifted(answer: Answer, *, fetch: bool = True) -> Answer:
    stage = lift_named(extents_of, (lambda pages: pages) if fetch else None)
    return stage(Run((answer,))).answers[0]


@pytest.mark.parametrize(
    ("text", "numbers", "places"),
    [
        ("According to the chart on page 14, how much?", {14}, ()),
        ("the table at page 28,  which signal", {28}, ()),
        ("What does Slide 4 show in 2014?", {4}, ()),
        ("slide 4's title", {4}, ()),
        ("How many people appear on pages three and four?", {3, 4}, ()),
        ("on the page 15 and page 16", {15, 16}, ()),
        ("pages 3-5", {3, 4, 5}, ()),
        ("pp. 12–14 and 20", {12, 13, 14, 20}, ()),
        ("pages 2, 4, and 9 to 11", {2, 4, 9, 10, 11}, ()),
        ("p. 7, page no. 9, page #10, p.11", {7, 9, 10, 11}, ()),
        ("Seite 12 und 13", {12, 13}, ()),
        ("na página 4 e 5", {4, 5}, ()),
        ("as mentioned on the first page of the document", (), {1}),
        ("the last two slides", (), {-1, -2}),
        ("first three pages", (), {1, 2, 3}),
        ("What color is the car on the cover?", (), {1}),
        ("the address on the back cover", (), {-1}),
        ("page 2 or the last page", {2}, {-1}),
    ],
)
def test_questions_name_pages_in_many_ways(
    text: str, numbers: Collection[int], places: Collection[int]
) -> None:
    assert named_pages(text) == NamedPages(frozenset(numbers), frozenset(places))


@pytest.mark.parametrize(
    "text",
    [
        *PLAIN,
        "give the pages as a list like ['Page 2', \"Page 4\"]",
        "How many pages are there? 12",
        "version 2.14p. 3a",
        "page 3.5 of the pageant",
        "pages 10%",
        "page014 and slide7 of the log",
        "crops that cover the field",
        "the cover letter of the application",
        "page 1,234",
        f"pages 1 to {MOST + 1}",
        "pages 1 - 9999",
    ],
)
def test_what_names_no_page_is_not_taken_for_one(text: str) -> None:
    assert not named_pages(text)


@given(answers(st.sampled_from(PLAIN)))
def test_questions_that_name_no_page_keep_their_ranking(answer: Answer) -> None:
    assert lifted(answer) == lifted(answer, fetch=False) == answer


@given(answers(st.builds("what is on page {}?".format, NUMBERS)))
def test_every_page_stays_and_the_others_keep_their_order(answer: Answer) -> None:
    found = lifted(answer, fetch=False)
    assert {hit.page for hit in found.hits} == {hit.page for hit in answer.hits}
    named = {hit.page for hit in found.hits if any(mark.stage == STAGE for mark in hit.trace)}
    for group in (named, {hit.page for hit in answer.hits} - named):
        before = {hit.page: hit.score for hit in answer.hits if hit.page in group}
        after = [hit.page for hit in found.hits if hit.page in group]
        if group is not named:
            assert after == list(before)
        assert set(after) == set(before)


@given(answers(st.builds("what is on page {}?".format, NUMBERS)))
def test_a_named_page_enters_with_its_document_and_stands_above_those_not_named(answer: Answer) -> None:
    found = lifted(answer)
    number = next(iter(named_pages(answer.query.text).numbers))
    for doc in {hit.page[0] for hit in answer.hits}:
        sure = NamedPages(frozenset({number})).of(EXTENTS[doc])
        for at, strength in sure.items():
            page = f"{doc}/{at:04d}"
            rank = [hit.page for hit in found.hits].index(page)
            if strength == 1.0:
                assert all(any(mark.stage == STAGE for mark in hit.trace) for hit in found.hits[:rank])
    assert {hit.page[0] for hit in found.hits} == {hit.page[0] for hit in answer.hits}


def test_the_printed_number_goes_before_the_count_and_pages_without_either_reading_gain_nothing() -> None:
    named = named_pages("the diagram on page 3")
    assert named.of(Extent(8, before=2)) == {3: SECOND_READING, 5: 1.0}
    assert named.of(Extent(8, before=0)) == {3: 1.0}
    assert named.of(Extent(8)) == {3: 1.0}
    assert named.of(Extent(2)) == {}
    assert named_pages("page 1203").of(Extent(20, before=-1200)) == {3: 1.0}
    assert named_pages("the last page and page 99").of(Extent(8, before=2)) == {8: 1.0}


def test_only_pages_that_can_be_found_enter() -> None:
    answer = Answer(Query("q", "what is on page 4?"), (Hit("a/0001", 1.0), Hit("c/0001", 0.5)))
    stage = lift_named(extents_of, lambda pages: [page for page in pages if page.startswith("c")])
    found = stage(Run((answer,))).answers[0]
    assert [hit.page for hit in found.hits] == ["c/0004", "a/0001", "c/0001"]
    assert [mark.stage for mark in found.hits[0].trace] == [STAGE]


def test_a_page_says_once_that_it_was_named() -> None:
    answer = Answer(Query("q", "page 1"), (Hit("a/0001", 1.0), Hit("a/0002", 0.5)))
    assert len(lifted(lifted(answer)).hits[0].trace) == 1
