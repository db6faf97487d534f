"""The laws of documents that speak for their pages."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.documents import SHARPNESS, Extent, lift_documents
from domain.page import Hit, Query, document_of
from domain.run import Answer, Run, ranked

DOCUMENTS = ("a", "b", "c")
PAGES = tuple(f"{doc}/{number:04d}" for doc in DOCUMENTS for number in range(1, 5))
EXTENTS = {"a": Extent(4), "b": Extent(40), "c": Extent(400)}
SHARES = st.sampled_from([0.1, 0.5, 1.0])


def answers() -> st.SearchStrategy[Answer]:
    scores = st.integers(-40, 40).map(lambda number: number / 8)
    hits = st.lists(st.builds(Hit, st.sampled_from(PAGES), scores), unique_by=lambda hit: hit.page)
    return st.builds(lambda found: Answer(Query("q", "words"), ranked(found), notes=("kept",)), hits)


def lifted(answer: Answer, share: float, extents: dict[str, Extent] = EXTENTS) -> Answer:
    return lift_documents(share, lambda _documents: extents)(Run((answer,))).answers[0]


def order(answer: Answer) -> list[str]:
    return [hit.page for hit in answer.hits]


@given(answers(), SHARES)
def test_the_same_pages_come_back_and_those_of_a_document_keep_their_order(
    answer: Answer, share: float
) -> None:
    found = lifted(answer, share)
    assert sorted(order(found)) == sorted(order(answer))
    assert (found.query, found.notes) == (answer.query, answer.notes)
    for doc in DOCUMENTS:
        own = [hit for hit in answer.hits if document_of(hit.page) == doc]
        again = [page for page in order(found) if document_of(page) == doc]
        assert again == [hit.page for hit in own]


@given(answers())
def test_no_share_leaves_a_ranking_as_it_is(answer: Answer) -> None:
    assert lifted(answer, 0.0) == answer


@given(answers(), SHARES)
def test_scores_of_another_scale_give_the_same_order(answer: Answer, share: float) -> None:
    wider = ranked(Hit(hit.page, 1024 * hit.score) for hit in answer.hits)
    assert order(lifted(Answer(answer.query, wider), share)) == order(lifted(answer, share))


def test_a_document_that_fits_as_a_whole_lifts_its_pages_over_a_lone_page_of_another() -> None:
    many = [Hit(f"a/{number:04d}", 0.9) for number in (1, 2, 3, 4)]
    alone = [Hit("b/0001", 0.95), Hit("c/0001", 0.0)]
    answer = Answer(Query("q", "words"), ranked([*many, *alone]))
    assert order(answer)[0] == "b/0001"
    assert order(lifted(answer, 0.5))[:4] == [hit.page for hit in ranked(many)]


def test_the_evidence_of_a_document_is_the_soft_mean_over_all_of_its_pages() -> None:
    answer = Answer(Query("q", "words"), ranked([Hit("a/0001", 3.0), Hit("a/0002", 2.0), Hit("b/0001", 1.0)]))
    scores = {hit.page: hit.score for hit in lifted(answer, 0.5).hits}
    soft = math.log((math.exp(SHARPNESS) + math.exp(SHARPNESS / 2) + 2) / 4) / SHARPNESS
    assert scores == pytest.approx({"a/0001": 1 + soft / 2, "a/0002": 0.5 + soft / 2, "b/0001": 0.0})


def test_a_document_of_unknown_length_has_the_pages_that_were_found() -> None:
    answer = Answer(Query("q", "words"), (Hit("a/0001", 1.0),))
    assert lifted(answer, 1.0, {}).hits[0].score == pytest.approx(2.0)


@pytest.mark.parametrize("share", [-0.1, math.nan, math.inf])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="share of documents"):
        lift_documents(share, lambda _documents: {})
