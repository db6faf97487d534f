"""The deadline, the cost of a pair, and the remarks of a stage that runs out of time."""

from collections.abc import Sequence

import pytest
from PIL import Image

from domain.errors import ModelError, StoreError
from domain.fingerprint import Fingerprint
from domain.page import Hit, Query
from domain.run import Answer, Run
from rerank.budget import WINDOW, Budget, CostModel, Deadline, size_class
from rerank.reranker import Candidate
from rerank.stage import rerank

MODEL = Fingerprint("model")
TEN = Run((Answer(Query("q", "words"), tuple(Hit(f"d/{n:04d}", 20.0 - n) for n in range(1, 11))),))


class Timed:
    """Scores a page by its number and takes a fixed time a pair on its own clock."""

    name = "timed"
    fingerprint = MODEL

    def __init__(self, ms_per_pair: float) -> None:
        self.ms_per_pair = ms_per_pair
        self.now_s = 100.0

    def scores(self, query: str, candidates: Sequence[Candidate]) -> list[float]:
        self.now_s += self.ms_per_pair * len(candidates) / 1000.0
        return [float(candidate.page[-4:]) for candidate in candidates]


def load(page: str) -> Candidate:
    return Candidate(page, lambda: Image.new("RGB", (8, 8)), lambda: "", lambda: None)


def ask(timed: Timed, budget_ms: float, cost: CostModel, first_stage_ms: float = 0.0) -> Answer:
    deadline = Deadline.after(budget_ms, clock=lambda: timed.now_s)
    timed.now_s += first_stage_ms / 1000.0
    return rerank(timed, load, budget=Budget(deadline, cost, batch=4))(TEN).answers[0]


def test_the_first_stage_counts_against_the_budget() -> None:
    cost = CostModel()
    cost.observe(MODEL, "any", pairs=1, elapsed_ms=10.0)
    assert ask(Timed(10.0), 61.0, cost).depth == 6
    assert ask(Timed(10.0), 61.0, cost, first_stage_ms=30.0).depth == 3


def test_a_budget_too_small_for_one_pair_gives_the_first_stage_and_says_so() -> None:
    cost = CostModel()
    cost.observe(MODEL, "any", pairs=1, elapsed_ms=10.0)
    answer = ask(Timed(10.0), 9.0, cost)
    assert answer.hits == TEN.answers[0].hits
    assert answer.depth == 0
    assert answer.notes == ("not reranked: 9 ms leave no time for a single page after the first stage",)


def test_an_answer_says_how_deep_the_reranker_got() -> None:
    cost = CostModel()
    cost.observe(MODEL, "any", pairs=1, elapsed_ms=10.0)
    answer = ask(Timed(10.0), 45.0, cost)
    assert answer.notes == ("reranked 4 of 10 pages within 45 ms; the rest keep their first order",)
    assert [hit.page[-2:] for hit in answer.hits] == [
        "04",
        "03",
        "02",
        "01",
        "05",
        "06",
        "07",
        "08",
        "09",
        "10",
    ]


def test_a_model_never_timed_starts_with_one_small_batch_and_learns() -> None:
    cost = CostModel()
    assert cost.plan(MODEL, budget_ms=100.0, spent_ms=0.0) is None
    assert ask(Timed(10.0), 15.0, cost).depth == 4
    assert cost.plan(MODEL, budget_ms=100.0, spent_ms=50.0) == 5
    assert cost.plan(MODEL, budget_ms=100.0, spent_ms=150.0) == 0


def test_one_slow_batch_does_not_change_what_a_pair_costs() -> None:
    cost = CostModel()
    for elapsed_ms in (10.0, 11.0, 5000.0, 9.0, 10.0):
        cost.observe(MODEL, "any", pairs=1, elapsed_ms=elapsed_ms)
    assert cost.ms_per_pair(MODEL) == 10.0


def test_a_machine_that_became_slower_is_followed_within_the_window() -> None:
    cost = CostModel()
    for elapsed_ms in (1.0,) * WINDOW + (7.0,) * WINDOW:
        cost.observe(MODEL, "any", pairs=1, elapsed_ms=elapsed_ms)
    assert cost.ms_per_pair(MODEL, quantile=0.0) == 7.0


def test_costs_are_kept_apart_by_model_and_size_and_a_new_size_borrows_the_costliest() -> None:
    cost = CostModel()
    cost.observe(MODEL, size_class(1000, 1000), pairs=2, elapsed_ms=8.0)
    cost.observe(MODEL, size_class(2000, 2000), pairs=2, elapsed_ms=40.0)
    assert cost.ms_per_pair(MODEL, size_class(1024, 1000)) == 4.0
    assert cost.ms_per_pair(MODEL, "unheard of") == 20.0
    assert cost.ms_per_pair(Fingerprint("other"), size_class(1000, 1000)) is None


def test_a_batch_never_mixes_sizes() -> None:
    timed, cost = Timed(1.0), CostModel()
    sizes = {f"d/{n:04d}": "small" if n < 3 else "large" for n in range(1, 11)}
    budget = Budget(Deadline.after(1e6, clock=lambda: timed.now_s), cost, batch=8, size_of=sizes.__getitem__)
    rerank(timed, load, budget=budget)(TEN)
    assert cost.ms_per_pair(MODEL, "small") == pytest.approx(1.0)
    assert cost.ms_per_pair(MODEL, "large") == pytest.approx(1.0)


def test_each_query_of_a_run_has_the_budget_for_itself() -> None:
    timed, cost = Timed(10.0), CostModel()
    cost.observe(MODEL, "any", pairs=1, elapsed_ms=10.0)
    budget = Budget(Deadline.after(55.0, clock=lambda: timed.now_s), cost, batch=4)
    timed.now_s += 0.02  # the first stage of both
    answers = rerank(timed, load, budget=budget)(Run(TEN.answers * 2)).answers
    assert [answer.depth for answer in answers] == [4, 4]


def test_what_comes_after_the_stage_is_kept_free() -> None:
    timed, cost = Timed(10.0), CostModel()
    cost.observe(MODEL, "any", pairs=1, elapsed_ms=10.0)
    budget = Budget(Deadline.after(61.0, clock=lambda: timed.now_s), cost, batch=4, reserve_ms=20.0)
    assert rerank(timed, load, budget=budget)(TEN).answers[0].depth == 4


def test_what_was_learned_survives_as_json() -> None:
    cost = CostModel()
    cost.observe(MODEL, "any", pairs=4, elapsed_ms=10.0)
    again = CostModel.from_json(cost.to_json())
    assert again.ms_per_pair(MODEL) == 2.5
    assert again.to_json() == cost.to_json()


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": 1}', '{"a": [-1]}', '{"a": [NaN]}', '{"a": ["x"]}'])
def test_damaged_costs_are_refused_with_the_remedy(text: str) -> None:
    with pytest.raises(StoreError, match="delete the file"):
        CostModel.from_json(text)


@pytest.mark.parametrize(("pairs", "elapsed_ms"), [(0, 1.0), (1, -1.0), (1, float("nan"))])
def test_impossible_timings_are_refused(pairs: int, elapsed_ms: float) -> None:
    with pytest.raises(ValueError, match="at least one pair"):
        CostModel().observe(MODEL, "any", pairs=pairs, elapsed_ms=elapsed_ms)


@pytest.mark.parametrize("budget_ms", [-1.0, float("nan"), float("inf")])
def test_impossible_budgets_are_refused(budget_ms: float) -> None:
    with pytest.raises(ValueError, match="milliseconds from 0"):
        Deadline.after(budget_ms)


def test_a_reranker_that_returns_another_number_of_scores_is_refused() -> None:
    class Short(Timed):
        def scores(self, query: str, candidates: Sequence[Candidate]) -> list[float]:
            return [1.0]

    with pytest.raises(ModelError, match="timed gave 1 scores for 10 pages"):
        rerank(Short(1.0), load)(TEN)


def test_depth_and_blend_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot rerank -1 pages"):
        rerank(Timed(1.0), load, depth=-1)
    with pytest.raises(ValueError, match=r"from 0 to 1, not 1\.5"):
        rerank(Timed(1.0), load, blend=1.5)
