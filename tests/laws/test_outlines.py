"""The laws of pages to which a document's own table of contents leads."""

from collections.abc import Collection

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.documents import Extent
from domain.outline import Outline
from domain.page import Hit, Query
from domain.run import Answer, Run, ranked
from retrieve.outlines import GAIN, LOSS, STAGE, lift_parts

FILING = Outline(
    (2,), ((3, "Item 1A. Risk Factors"), (5, "Consolidated Balance Sheets as of May 1, 2020"), (7, "Notes"))
)
EXTENTS = {"a": Extent(8, 0, FILING), "b": Extent(8, 0, FILING), "c": Extent(8)}
PAGES = tuple(f"{doc}/{number:04d}" for doc in EXTENTS for number in range(1, 9))
QUESTIONS = st.sampled_from(
    ["what are the risk factors?", "notes", "which chapters are listed?", "how much?"]
)


def extents_of(documents: Collection[str]) -> dict[str, Extent]:
    return {doc: EXTENTS[doc] for doc in documents}


def lifted(answer: Answer) -> Answer:
    return lift_parts(extents_of)(Run((answer,))).answers[0]


def asked(text: str, scores: dict[str, float], *also: str) -> list[str]:
    hits = ranked(Hit(f"{page[0]}/{int(page[1:]):04d}", score) for page, score in scores.items())
    found = lifted(Answer(Query("q", text, also=also), hits)).hits
    return [f"{hit.page[0]}{int(hit.page[-4:])}" for hit in found]


@pytest.mark.parametrize(
    ("text", "also"),
    [
        ("What are the risk factors?", ()),
        ("main risk factor of the company", ()),
        ("what may go wrong?", ("risk factors",)),
    ],
)
def test_the_page_that_the_contents_name_comes_before_those_that_say_it_too(
    text: str, also: tuple[str, ...]
) -> None:
    assert asked(text, {"a4": 1.0, "a3": 0.9, "c1": 0.0}, *also) == ["a3", "a4", "c1"]


@pytest.mark.parametrize("text", ["risk of rain", "notes", "sheets of paper", "2020"])
def test_some_words_of_a_title_or_a_single_one_lead_nowhere(text: str) -> None:
    assert asked(text, {"a4": 1.0, "a3": 0.9, "a5": 0.9, "a7": 0.8, "c1": 0.0})[0] == "a4"


def test_the_date_and_the_number_of_a_title_need_not_be_said() -> None:
    assert asked("consolidated balance sheet", {"a4": 1.0, "a5": 0.9, "c1": 0.0})[0] == "a5"


def test_a_page_of_a_document_that_fits_badly_gains_little() -> None:
    scores = {"a4": 1.0, "a8": 0.6, "b3": 0.55, "c1": 0.0}
    assert asked("what are the risk factors?", scores) == ["a4", "a8", "b3", "c1"]


def test_the_list_of_contents_is_lowered_unless_it_is_asked_for() -> None:
    scores = {"a2": 1.0, "a4": 0.9, "c1": 0.0}
    assert asked("how high are the risks?", scores)[0] == "a4"
    assert asked("which chapters does the table of contents name?", scores)[0] == "a2"


def answers() -> st.SearchStrategy[Answer]:
    scores = st.integers(-40, 40).map(lambda number: number / 8)
    hits = st.lists(
        st.builds(Hit, st.sampled_from(PAGES), scores), unique_by=lambda hit: hit.page, min_size=1
    )
    return st.builds(lambda text, found: Answer(Query("q", text), ranked(found)), QUESTIONS, hits)


@given(answers())
def test_no_page_comes_or_goes_and_all_others_keep_their_order(answer: Answer) -> None:
    found = lifted(answer)
    before, after = [[hit.page for hit in one.hits] for one in (answer, found)]
    assert sorted(before) == sorted(after)
    named = {page for page in before if page[0] in "ab" and int(page[-4:]) in {2, 3, 5, 7}}
    assert [page for page in before if page not in named] == [page for page in after if page not in named]


@given(answers())
def test_a_score_moves_by_no_more_than_the_gain_or_the_loss(answer: Answer) -> None:
    found = lifted(answer)
    if found.hits == answer.hits:
        return
    low, high = answer.hits[-1].score, answer.hits[0].score
    stretched = {hit.page: (hit.score - low) / (high - low) if high > low else 1.0 for hit in answer.hits}
    for hit in found.hits:
        assert -LOSS - 1e-9 <= hit.score - stretched[hit.page] <= GAIN + 1e-9
        gained = hit.score > stretched[hit.page] + 1e-9
        assert not gained or any(mark.stage == STAGE for mark in hit.trace)


def test_a_page_is_marked_once() -> None:
    answer = Answer(Query("q", "what are the risk factors?"), (Hit("a/0004", 1.0), Hit("a/0003", 0.5)))
    again = lifted(lifted(answer))
    (page,) = [hit for hit in again.hits if hit.page == "a/0003"]
    assert [mark.stage for mark in page.trace] == [STAGE]
