"""The laws of the second and third stage, over rankings drawn as permutations of one small set of pages."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from domain.errors import ModelError
from domain.fingerprint import Fingerprint
from domain.page import Hit, PageId, Query, document_of
from domain.run import Answer, Run, ranked
from domain.stage import Stage, cut, then
from rerank.budget import Budget, CostModel, Deadline
from rerank.diversify import boost, cap_documents, fold, spread
from rerank.reranker import Candidate
from rerank.skip import margin, unless_clear
from rerank.stage import rerank

PAGES = tuple(f"{doc}/{number:04d}" for doc in ("a", "b") for number in range(1, 5))
LOGITS = st.floats(-50, 50, width=32)


class Table:
    """A reranker that reads its scores from a table."""

    name = "table"
    fingerprint = Fingerprint("table")

    def __init__(self, scores: dict[PageId, float]) -> None:
        self.table = scores
        self.read: list[PageId] = []

    def scores(self, query: str, candidates: Sequence[Candidate]) -> list[float]:
        self.read += [candidate.page for candidate in candidates]
        return [self.table[candidate.page] for candidate in candidates]


def load(page: PageId) -> Candidate:
    return Candidate(page, lambda: Image.new("RGB", (8, 8)), lambda: "", lambda: None)


def tables() -> st.SearchStrategy[Table]:
    return st.fixed_dictionaries(dict.fromkeys(PAGES, LOGITS)).map(Table)


def runs() -> st.SearchStrategy[Run]:
    scores = st.one_of(st.integers(0, 3).map(float), st.floats(-1e3, 1e3, width=32))
    hits = st.lists(
        st.builds(Hit, st.sampled_from(PAGES), scores), unique_by=lambda hit: hit.page, max_size=len(PAGES)
    ).map(ranked)
    return st.lists(hits, min_size=1, max_size=2).map(
        lambda found: Run(tuple(Answer(Query(f"q{at}", "words"), hits) for at, hits in enumerate(found)))
    )


def order(run: Run) -> list[list[PageId]]:
    return [[hit.page for hit in answer.hits] for answer in run.answers]


def is_ranking(run: Run) -> bool:
    return all(ranked(answer.hits) == answer.hits for answer in run.answers)


depths = st.one_of(st.none(), st.integers(0, 9))
blends = st.one_of(st.none(), st.floats(0, 1))


@given(runs(), tables(), depths, blends)
def test_reranking_permutes_the_top_and_keeps_the_rest_beneath_it(
    run: Run, table: Table, depth: int | None, blend: float | None
) -> None:
    before, after = order(run), order(rerank(table, load, depth=depth, blend=blend)(run))
    for old, new in zip(before, after, strict=True):
        top = len(old) if depth is None else depth
        assert sorted(new[:top]) == sorted(old[:top])
        assert new[top:] == old[top:]


@given(runs(), tables(), depths, blends)
def test_what_reranking_gives_is_a_ranking_by_its_own_scores(
    run: Run, table: Table, depth: int | None, blend: float | None
) -> None:
    assert is_ranking(rerank(table, load, depth=depth, blend=blend)(run))


@given(runs(), LOGITS, depths, blends)
def test_constant_scores_change_no_order(
    run: Run, logit: float, depth: int | None, blend: float | None
) -> None:
    table = Table(dict.fromkeys(PAGES, logit))
    assert order(rerank(table, load, depth=depth, blend=blend)(run)) == order(run)


@given(runs(), tables(), depths)
def test_a_blend_of_one_keeps_the_first_order(run: Run, table: Table, depth: int | None) -> None:
    assert order(rerank(table, load, depth=depth, blend=1.0)(run)) == order(run)


@given(runs(), tables(), depths)
def test_a_blend_of_zero_is_the_reranker_alone(run: Run, table: Table, depth: int | None) -> None:
    alone = rerank(table, load, depth=depth)(run)
    assert rerank(table, load, depth=depth, blend=0.0)(run) == alone
    for answer, old in zip(alone.answers, run.answers, strict=True):
        ranks = {hit.page: rank for rank, hit in enumerate(old.hits)}
        top = answer.hits if depth is None else answer.hits[:depth]
        keys = [(-table.table[hit.page], ranks[hit.page]) for hit in top]
        assert keys == sorted(keys)


@given(runs(), tables())
def test_reranking_twice_is_reranking_once(run: Run, table: Table) -> None:
    stage = rerank(table, load)
    assert order(then(stage, stage)(run)) == order(stage(run))


@given(runs(), tables(), st.integers(0, 9))
def test_reranking_to_a_depth_then_cutting_there_equals_cutting_first(run: Run, table: Table, k: int) -> None:
    assert order(then(rerank(table, load, depth=k), cut(k))(run)) == order(
        then(cut(k), rerank(table, load))(run)
    )


@given(runs(), tables(), st.integers(0, 9))
def test_only_the_top_is_loaded_and_traced_with_its_raw_logit(run: Run, table: Table, depth: int) -> None:
    answers = rerank(table, load, depth=depth)(run).answers
    assert table.read == [page for pages in order(run) for page in pages[:depth]]
    for answer in answers:
        marks = {hit.page: mark for hit in answer.hits for mark in hit.trace if mark.stage == "rerank"}
        assert {page: mark.score for page, mark in marks.items()} == {
            hit.page: table.table[hit.page] for hit in answer.hits[: answer.depth]
        }


@given(runs(), tables(), st.sampled_from([math.nan, math.inf, -math.inf]))
def test_a_score_that_is_not_finite_is_an_error_that_names_model_and_page(
    run: Run, table: Table, bad: float
) -> None:
    table.table[PAGES[0]] = bad
    stage = rerank(table, load)
    if any(PAGES[0] in pages for pages in order(run)):
        with pytest.raises(ModelError, match=rf"table.*{PAGES[0]}"):
            stage(run)
    else:
        stage(run)


class Slow(Table):
    """A reranker that moves a clock by the next cost of a list, cyclically, for every pair."""

    def __init__(self, scores: dict[PageId, float], costs_ms: list[float]) -> None:
        super().__init__(scores)
        self.now_s = 0.0
        self.costs_ms = costs_ms
        self.batches_ms: list[float] = []

    def scores(self, query: str, candidates: Sequence[Candidate]) -> list[float]:
        start = len(self.read)
        cost = sum(self.costs_ms[(start + at) % len(self.costs_ms)] for at in range(len(candidates)))
        self.batches_ms.append(cost)
        self.now_s += cost / 1000.0
        return super().scores(query, candidates)


@given(
    runs().map(lambda run: Run(run.answers[:1])),
    tables(),
    st.lists(st.floats(0.5, 200), min_size=1, max_size=5),
    st.floats(0, 500),
    st.integers(1, 5),
)
def test_the_deadline_is_never_passed_by_more_than_one_batch(
    run: Run, table: Table, costs_ms: list[float], budget_ms: float, batch: int
) -> None:
    slow = Slow(table.table, costs_ms)
    deadline = Deadline.after(budget_ms, clock=lambda: slow.now_s)
    slow.now_s += 0.01  # the first stage
    answer = rerank(slow, load, budget=Budget(deadline, CostModel(), batch=batch))(run).answers[0]
    late_ms = deadline.spent_ms - max(budget_ms, 10.0)
    assert late_ms <= max(slow.batches_ms, default=0.0) + 1e-6
    assert answer.depth == len(slow.read)
    assert order(run)[0][answer.depth :] == [hit.page for hit in answer.hits[answer.depth :]]
    assert (answer.depth < len(answer.hits)) == bool(answer.notes)


@given(runs(), st.integers(1, 4))
def test_a_cap_keeps_the_best_pages_of_each_document_in_order(run: Run, most: int) -> None:
    for old, new in zip(order(run), order(cap_documents(most)(run)), strict=True):
        assert new == [page for page in old if page in new]
        for doc in ("a", "b"):
            own = [page for page in old if document_of(page) == doc]
            assert [page for page in new if document_of(page) == doc] == own[:most]


def likeness(pages: Sequence[PageId]) -> np.ndarray:
    vectors = np.array([[len(PAGES) - PAGES.index(page), PAGES.index(page) ** 2] for page in pages], float)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors @ vectors.T, dtype=np.float32)


def third_stages() -> st.SearchStrategy[Stage]:
    return st.one_of(
        st.builds(spread, st.just(likeness), relevance=st.floats(0, 1), depth=st.integers(0, 9)),
        st.builds(fold, st.just(likeness), threshold=st.floats(-1, 1), depth=st.integers(0, 9)),
        st.builds(cap_documents, st.integers(1, 3)),
        st.builds(lambda by: boost(lambda page: by * PAGES.index(page)), st.floats(-2, 2)),
    )


@given(runs(), third_stages())
def test_every_third_stage_gives_a_ranking_of_pages_that_were_found(run: Run, stage: Stage) -> None:
    after = stage(run)
    assert is_ranking(after)
    for old, new in zip(order(run), order(after), strict=True):
        assert set(new) <= set(old)


@given(runs(), st.integers(0, 9))
def test_spreading_by_relevance_alone_changes_no_order_and_never_loses_a_page(run: Run, depth: int) -> None:
    assert order(spread(likeness, relevance=1.0, depth=depth)(run)) == order(run)
    mixed = order(spread(likeness, relevance=0.3, depth=depth)(run))
    for old, new in zip(order(run), mixed, strict=True):
        assert sorted(old[:depth]) == sorted(new[:depth])
        assert old[depth:] == new[depth:]


@given(runs(), st.floats(-1, 1))
def test_folding_leaves_no_two_pages_alike_and_always_the_first(run: Run, threshold: float) -> None:
    for old, new in zip(order(run), order(fold(likeness, threshold=threshold)(run)), strict=True):
        assert new[:1] == old[:1]
        if len(new) > 1:
            assert (np.tril(likeness(new), -1)[np.tril_indices(len(new), -1)] < threshold).all()


@given(runs(), st.floats(-3, 3))
def test_an_equal_boost_changes_no_order(run: Run, by: float) -> None:
    assert order(boost(lambda _page: by)(run)) == order(run)


@given(runs(), st.sampled_from(PAGES), st.floats(0, 3))
def test_boosting_a_page_never_lowers_it(run: Run, page: PageId, by: float) -> None:
    after = boost(lambda other: by if other == page else 0.0)(run)
    for old, new in zip(order(run), order(after), strict=True):
        assert page not in old or new.index(page) <= old.index(page)


@given(runs(), tables(), st.floats(0, 1.1))
def test_only_unclear_answers_are_reranked(run: Run, table: Table, threshold: float) -> None:
    stage = rerank(table, load)
    after = unless_clear(stage, threshold=threshold)(run)
    for old, new in zip(run.answers, after.answers, strict=True):
        if margin(old) < threshold:
            assert new == stage(Run((old,))).answers[0]
        else:
            assert new.hits == old.hits
            assert new.depth == 0
            assert len(new.notes) == 1


@given(runs(), st.sampled_from([0.25, 1.0, 4.0]), st.integers(-8, 8))
def test_the_margin_does_not_change_with_the_scale(run: Run, scale: float, shift: int) -> None:
    for found in run.answers:  # in hundredths: a shift would swallow a lead of 1e-33
        hits = tuple(Hit(hit.page, round(hit.score, 2)) for hit in found.hits)
        answer = replace(found, hits=hits)
        moved = Answer(answer.query, tuple(Hit(h.page, h.score * scale + shift) for h in hits))
        assert margin(moved) == pytest.approx(margin(answer), abs=1e-3)
        assert 0.0 <= margin(answer) <= 1.0
