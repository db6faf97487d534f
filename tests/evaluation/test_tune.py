"""Tuning on recordings made by hand: what earns its milliseconds is recommended, and nothing else."""

import itertools

import numpy as np
import pytest

from domain.fingerprint import Fingerprint
from domain.page import Hit, Query
from evaluation.recording import Asked, Readings, Recording, plain
from evaluation.statistics import difference
from evaluation.sweep import Choice, Sweep, front, fusions
from evaluation.tune import Tuning, settings_of, tune
from evaluation.tune_report import as_json, from_json, markdown, plots
from library.settings import Settings

QUESTIONS = 60
PAGES = 30


def pages(question: int) -> list[str]:
    return [f"d{question}/{number:04d}" for number in range(1, PAGES + 1)]


def arm(*, gold_at: list[int]) -> tuple[tuple[Hit, ...], ...]:
    """Each question's relevant page, its number 1, stands at the given rank."""
    rankings = []
    for question, rank in enumerate(gold_at):
        gold, *rest = pages(question)
        rest.insert(rank - 1, gold)
        rankings.append(tuple(Hit(page, 1.0 / at) for at, page in enumerate(rest, start=1)))
    return tuple(rankings)


def readings(*, gold: float, ms: float = 2.0) -> Readings:
    """A reranker that gives the relevant page this logit, and the others -1 to 0."""
    logits = {
        f"q{q}": {page: gold if page.endswith("0001") else -int(page[-2:]) / PAGES for page in pages(q)}
        for q in range(QUESTIONS)
    }
    return Readings("table", Fingerprint("table"), logits, (ms,) * QUESTIONS)


def recording(arms: dict[str, list[int]], reranker: Readings | None = None) -> Recording:
    asked = Asked(
        queries=tuple(Query(f"q{q}", f"question {q}") for q in range(QUESTIONS)),
        qrels={f"q{q}": {f"d{q}/0001": 1} for q in range(QUESTIONS)},
        groups=tuple(f"d{q // 2}" for q in range(QUESTIONS)),
        pages=QUESTIONS * PAGES,
    )
    found = {name: arm(gold_at=ranks) for name, ranks in arms.items()}
    spent = dict.fromkeys(arms, (5.0,) * QUESTIONS)
    return Recording(asked, found, spent, {"table": reranker} if reranker else {})


MIXED = [1, 3, 2, 9, 4, 6] * 10
NOISE = [17, 23, 11, 29, 13, 19] * 10


@pytest.fixture(scope="module")
def good() -> Tuning:
    return tune(recording({"visual": MIXED}, readings(gold=1.0)), Settings(), budget_ms=1000.0)


def test_a_reranker_that_knows_is_recommended_no_deeper_than_it_helps(good: Tuning) -> None:
    assert (good.recommended.reranker, good.recommended.depth) == ("table", 10)
    assert good.unseen["chosen pipeline"].mean == pytest.approx(1.0)
    assert good.reason.startswith("rerank: on unseen documents reranking changes nDCG@10 by +")


def test_a_reranker_that_hurts_is_refused() -> None:
    found = tune(recording({"visual": MIXED}, readings(gold=-5.0)), Settings())
    assert found.recommended.depth == 0
    assert found.reason.startswith("no reranker: no depth and blend is better")
    assert settings_of(found.recommended, Settings()).reranker == "none"


def test_a_budget_that_holds_no_pair_means_no_reranker() -> None:
    found = tune(recording({"visual": MIXED}, readings(gold=1.0, ms=100.0)), Settings(), budget_ms=300.0)
    assert found.recommended.depth == 0
    assert "within 300 ms" in found.reason
    assert found.arithmetic[0].affordable == 2


def test_without_a_recorded_reranker_the_first_stage_alone_is_tuned() -> None:
    found = tune(recording({"visual": MIXED, "lexical": NOISE}), Settings())
    assert found.recommended.arms == ("visual",)
    assert found.reason == "no reranker was recorded"


def test_arms_that_find_different_things_are_fused() -> None:
    first, second = [1, 30] * 30, [30, 1] * 30
    found = tune(recording({"visual": first, "lexical": second}), Settings())
    assert set(found.recommended.arms) == {"visual", "lexical"}


def test_the_arithmetic_of_a_budget_is_shown(good: Tuning) -> None:
    said = markdown(good)
    assert "floor((1000 - 5) / 2.00) = 497 pages can be read" in said
    assert "Reading all 1,800 pages for one question would take 3.6 s" in said


def test_every_step_deeper_is_judged_against_the_one_before(good: Tuning) -> None:
    assert [step.after for step in good.steps] == [f"table to {n}" for n in (5, 10, 20, 30, 50, 100)]
    assert good.steps[0].change.mean.mean > 0
    assert good.steps[2].change.mean.mean == 0
    assert good.steps[0].ms == pytest.approx(10.0)


def test_what_was_found_survives_as_json_and_is_drawn(good: Tuning) -> None:
    assert as_json(from_json(as_json(good))) == as_json(good)
    assert all(drawn.startswith("<?xml") for drawn in plots(good).values())
    assert good.recommended.name in markdown(good)


def test_a_recommendation_becomes_the_settings_that_are_served(good: Tuning) -> None:
    settings = settings_of(good.recommended, Settings())
    assert (settings.reranker, settings.rerank_depth, settings.blend) == ("table", 10, 0.0)
    assert settings.arms == ("visual",)


def test_a_choice_is_never_judged_on_a_document_that_it_was_made_on() -> None:
    sweep = Sweep(recording({"visual": MIXED}), Settings())
    groups = np.array(sweep.recording.asked.groups)
    assert sorted(itertools.chain.from_iterable(test.tolist() for _, test in sweep.folds)) == list(range(60))
    for train, test in sweep.folds:
        assert not set(groups[train]) & set(groups[test])


def test_the_unseen_values_come_from_the_choice_of_the_other_folds() -> None:
    sweep = Sweep(recording({"visual": MIXED, "lexical": NOISE}), Settings())
    bad, fine = Choice(("lexical",), (1.0,)), Choice(("visual",), (1.0,))
    first_fold = sweep.folds[0][1]
    values = sweep.unseen(lambda train: fine if first_fold[0] in train else bad)["nDCG@10"]
    expected = sweep.outcome(fine).values["nDCG@10"].copy()
    expected[first_fold] = sweep.outcome(bad).values["nDCG@10"][first_fold]
    assert values.tolist() == expected.tolist()


def test_of_equally_good_choices_the_least_elaborate_is_taken() -> None:
    sweep = Sweep(recording({"visual": MIXED, "lexical": MIXED}), Settings())
    assert sweep.best(fusions(("visual", "lexical"))) in {
        Choice(("visual",), (1.0,)),
        Choice(("lexical",), (1.0,)),
    }


def test_the_mixes_hold_every_arm_alone_and_no_mix_twice() -> None:
    mixes = fusions(("a", "b"), steps=2)
    assert {(c.arms, c.weights) for c in mixes} == {
        (("a",), (1.0,)),
        (("b",), (1.0,)),
        (("a", "b"), (1.0, 1.0)),
        (("a", "b"), (0.5, 1.0)),
        (("a", "b"), (1.0, 0.5)),
    }
    assert len(mixes) == len(set(mixes))


def test_the_front_holds_what_none_beats() -> None:
    sweep = Sweep(recording({"visual": MIXED, "lexical": NOISE}, readings(gold=1.0)), Settings())
    visual = Choice(("visual",), (1.0,))
    deep = Choice(("visual",), (1.0,), reranker="table", depth=10)
    deeper = Choice(("visual",), (1.0,), reranker="table", depth=30)
    outcomes = [sweep.outcome(c) for c in (deeper, Choice(("lexical",), (1.0,)), visual, deep)]
    assert [o.choice for o in front(outcomes)] == [visual, deep]


def test_pages_that_the_reranker_never_read_are_counted() -> None:
    short = readings(gold=1.0)
    logits = {query: dict(list(found.items())[:5]) for query, found in short.logits.items()}
    known = Readings(short.name, short.fingerprint, logits, short.ms_per_pair)
    sweep = Sweep(recording({"visual": MIXED}, known), Settings())
    outcome = sweep.outcome(Choice(("visual",), (1.0,), reranker="table", depth=10))
    assert outcome.unread == QUESTIONS * 5


def test_recordings_are_made_without_a_third_stage() -> None:
    settings = plain(Settings(per_document=2, blend=0.5, arm_weights={"visual": 3.0}), 200)
    assert (settings.per_document, settings.blend, settings.arm_weights) == (0, 0.0, {})
    assert settings.candidates == 200


def test_a_margin_that_skips_where_nothing_changes_is_free() -> None:
    found = tune(recording({"visual": [1] * 54 + [2] * 6}, readings(gold=1.0)), Settings())
    skip = found.recommended.skip_margin
    assert found.recommended.depth == 5
    assert all(
        s.change == difference(np.ones(60), np.ones(60)) or s.margin < skip for s in found.skips if skip
    )
