"""From logits to probabilities, for one model only; and "nothing relevant" as an answer."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from domain.errors import StoreError, UsageError
from domain.fingerprint import Fingerprint
from domain.page import Hit, Query
from domain.run import Answer, Run
from rerank.calibration import Bin, Calibration, Kind, expected_error, min_probability, reliability
from rerank.fitting import Labelled, fit
from rerank.reranker import Candidate
from rerank.stage import rerank

MODEL = Fingerprint("model")
KINDS: tuple[Kind, ...] = ("temperature", "platt", "isotonic")


def overconfident(questions: int = 80, pages: int = 20) -> list[Labelled]:
    """Logits whose true chance is sigmoid(logit / 4 - 1)."""
    random = np.random.default_rng(7)
    logits = random.normal(0.0, 6.0, (questions, pages))
    relevant = random.random((questions, pages)) < 1.0 / (1.0 + np.exp(1.0 - logits / 4.0))
    return [
        Labelled(f"q{q}", float(logits[q, p]), bool(relevant[q, p]))
        for q in range(questions)
        for p in range(pages)
    ]


def temperature(t: float = 1.0, model: Fingerprint = MODEL) -> Calibration:
    return Calibration(model.digest, model.model, "temperature", (t,), 0.2, 0.1, 60)


@pytest.mark.parametrize("kind", KINDS)
def test_calibration_lowers_the_error_on_questions_not_fitted_on(kind: Kind) -> None:
    fitted = fit(overconfident(), fingerprint=MODEL, model="model", kind=kind).calibration
    assert fitted.ece_after < (fitted.ece_before if kind == "temperature" else fitted.ece_before / 3)
    assert fitted.questions == 80
    assert fitted.fits(MODEL)


def test_the_kind_that_predicts_unseen_questions_best_is_chosen() -> None:
    fitted = fit(overconfident(), fingerprint=MODEL, model="model")
    assert fitted.calibration.kind == min(fitted.losses, key=lambda kind: fitted.losses[kind])
    assert fitted.calibration.kind == "platt"
    assert fitted.calibration.params == pytest.approx((0.25, -1.0), abs=0.2)


@pytest.mark.parametrize("kind", KINDS)
@given(logits=st.lists(st.floats(-1e6, 1e6), min_size=2).map(sorted))
def test_a_higher_logit_never_means_a_smaller_chance(kind: Kind, logits: list[float]) -> None:
    chances = FITTED[kind].probabilities(logits)
    assert all(0.0 <= chance <= 1.0 for chance in chances)
    assert list(chances) == sorted(chances)


@pytest.mark.parametrize("kind", KINDS)
def test_labels_that_the_logits_separate_give_finite_numbers(kind: Kind) -> None:
    labels = [Labelled(f"q{n}", float(n % 2) * 8 - 4, bool(n % 2)) for n in range(100)]
    fitted = fit(labels, fingerprint=MODEL, model="model", kind=kind).calibration
    low, high = fitted.probabilities([-4.0, 4.0])
    assert low < 0.1
    assert high > 0.9


@pytest.mark.parametrize("kind", KINDS)
def test_logits_that_contradict_the_labels_still_give_a_curve_that_does_not_fall(kind: Kind) -> None:
    labels = [Labelled(f"q{n}", -float(n % 2), bool(n % 2)) for n in range(100)]
    low, high = fit(labels, fingerprint=MODEL, model="model", kind=kind).calibration.probabilities(
        [-9.0, 9.0]
    )
    assert low <= high


@pytest.mark.parametrize("questions", [0, 1, 49])
def test_too_few_questions_are_refused_with_the_number_that_is_needed(questions: int) -> None:
    with pytest.raises(UsageError, match=f"50 are needed, {50 - questions} more"):
        fit(overconfident(questions), fingerprint=MODEL, model="model")


def test_too_few_relevant_pages_are_refused_with_the_number_that_is_needed() -> None:
    labels = [Labelled(f"q{n}", 1.0, n < 3) for n in range(60)]
    with pytest.raises(UsageError, match="read 3 relevant pages of the labelled questions: 10 are needed"):
        fit(labels, fingerprint=MODEL, model="model")


def test_a_calibration_survives_as_json() -> None:
    for calibration in FITTED.values():
        assert Calibration.from_json(calibration.to_json()) == calibration


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"params": [1]}', temperature().to_json().replace("[1.0]", "[1.0, NaN]")]
)
def test_a_damaged_calibration_is_refused_with_the_remedy(text: str) -> None:
    with pytest.raises(StoreError, match="recto calibrate"):
        Calibration.from_json(text)


def test_the_reliability_diagram_by_hand() -> None:
    chances, labels = (0.1, 0.1, 0.3, 0.9), (False, False, True, True)
    assert reliability(chances, labels, bins=2) == (Bin(0.1, 0.0, 2), Bin(pytest.approx(0.6), 1.0, 2))
    assert expected_error(chances, labels, bins=2) == pytest.approx((0.1 * 2 + 0.4 * 2) / 4)
    assert reliability((0.5,) * 4, (True, True, False, False), bins=4) == (Bin(0.5, 0.5, 4),)
    assert reliability((), ()) == ()
    assert expected_error((), ()) == 0.0


class Table:
    """Scores pages by a table."""

    name = "table"
    fingerprint = MODEL

    def scores(self, query: str, candidates: Sequence[Candidate]) -> list[float]:
        return [{"d/0001": -2.0, "d/0002": 2.0, "d/0003": 0.0}[candidate.page] for candidate in candidates]


FOUND = Run((Answer(Query("q", "words"), tuple(Hit(f"d/{n:04d}", 9.0 - n) for n in (1, 2, 3))),))


def load(page: str) -> Candidate:
    return Candidate(page, lambda: Image.new("RGB", (8, 8)), lambda: "", lambda: None)


def test_probabilities_are_set_by_a_calibration_of_this_very_model() -> None:
    hits = rerank(Table(), load, depth=2, calibration=temperature(2.0))(FOUND).answers[0].hits
    chance = 1.0 / (1.0 + math.exp(-1.0))
    assert [(hit.page, hit.probability) for hit in hits] == [
        ("d/0002", pytest.approx(chance)),
        ("d/0001", pytest.approx(1.0 - chance)),
        ("d/0003", None),
    ]


def test_a_calibration_of_another_model_sets_none_and_says_so() -> None:
    answer = rerank(Table(), load, calibration=temperature(model=Fingerprint("old")))(FOUND).answers[0]
    assert [hit.probability for hit in answer.hits] == [None] * 3
    assert "fitted for old, not for table" in answer.notes[0]


def test_without_a_calibration_there_is_no_probability() -> None:
    answer = rerank(Table(), load)(FOUND).answers[0]
    assert [hit.probability for hit in answer.hits] == [None] * 3
    assert answer.notes == ()


def test_min_probability_keeps_the_likely_pages() -> None:
    run = min_probability(0.5)(rerank(Table(), load, calibration=temperature())(FOUND))
    assert [hit.page for hit in run.answers[0].hits] == ["d/0002", "d/0003"]
    assert run.answers[0].notes == ()


def test_nothing_relevant_is_an_answer_of_its_own() -> None:
    answer = min_probability(0.95)(rerank(Table(), load, depth=2, calibration=temperature())(FOUND)).answers[
        0
    ]
    assert answer.hits == ()
    assert answer.notes[0] == "nothing relevant: the best page answers with probability 0.88, under 0.95"
    assert answer.notes[1].startswith("1 pages beneath the reranked ones")


def test_a_ranking_that_no_calibrated_model_read_is_left_as_it_is_and_says_so() -> None:
    answer = min_probability(0.5)(FOUND).answers[0]
    assert answer.hits == FOUND.answers[0].hits
    assert "was not applied" in answer.notes[0]
    empty = Run.ask(Query("q", "words"))
    assert min_probability(0.5)(empty) == empty


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_a_threshold_that_is_no_probability_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        min_probability(threshold)


FITTED = {
    kind: fit(overconfident(), fingerprint=MODEL, model="model", kind=kind).calibration for kind in KINDS
}
