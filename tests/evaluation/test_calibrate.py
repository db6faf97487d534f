"""Calibrating on recordings made by hand, and the decision "nothing relevant"."""

import numpy as np
import pytest

from domain.errors import UsageError
from domain.fingerprint import Fingerprint
from domain.page import Hit, Query
from evaluation.calibrate import as_json, calibrate, decisions, labelled, markdown, save
from evaluation.recording import Asked, Readings, Recording, joined
from library.settings import Settings
from rerank.calibration import Calibration
from rerank.fitting import Fitted, Labelled

SETTINGS = Settings(reranker="table", arms=("visual",))
PAGES = 12


def recording(questions: int = 60, *, unread: int = 0, ms: float = 1.0) -> Recording:
    """Page 1 is relevant; logits are three times too sure of it."""
    random = np.random.default_rng(3)
    found, logits = [], {}
    for q in range(questions):
        pages = [f"d{q}/{number:04d}" for number in range(1, PAGES + 1)]
        found.append(tuple(Hit(page, float(PAGES - at)) for at, page in enumerate(pages)))
        means = [1.0 if page.endswith("/0001") else -1.5 for page in pages[: PAGES - unread]]
        drawn = 3.0 * random.normal(means, 1.0)
        logits[f"q{q}"] = dict(zip(pages, map(float, drawn), strict=False))
    asked = Asked(
        queries=tuple(Query(f"q{q}", f"question {q}") for q in range(questions)),
        qrels={f"q{q}": {f"d{q}/0001": 1, f"d{q}/0002": 0} for q in range(questions)},
        groups=tuple(f"d{q}" for q in range(questions)),
        pages=questions * PAGES,
    )
    readings = Readings("table", Fingerprint("table"), logits, (ms,) * questions)
    return Recording(asked, {"visual": tuple(found)}, {"visual": (1.0,) * questions}, {"table": readings})


def test_a_reranker_that_is_too_sure_is_corrected() -> None:
    found = calibrate(recording(), SETTINGS, depth=10)
    assert found.calibration.fits(Fingerprint("table"))
    assert found.calibration.ece_after < found.calibration.ece_before
    assert (found.pages, found.relevant, found.calibration.questions) == (600, 60, 60)


def test_only_pages_that_the_reranker_read_and_the_pipeline_hands_on_are_labelled() -> None:
    part = recording(unread=5)
    labels = labelled(part, SETTINGS, part.readings["table"], depth=10)
    assert len(labels) == 60 * (PAGES - 5)
    assert sum(label.relevant for label in labels) == 60


def test_too_few_questions_are_refused_with_the_number_needed() -> None:
    with pytest.raises(UsageError, match="50 are needed, 10 more"):
        calibrate(recording(40), SETTINGS, depth=10)


def test_a_reranker_that_was_not_recorded_is_refused() -> None:
    with pytest.raises(UsageError, match="nothing was recorded of the reranker 'other'"):
        calibrate(recording(), Settings(reranker="other", arms=("visual",)), depth=10)


def test_nothing_relevant_as_a_decision_by_hand() -> None:
    labels = [
        Labelled("q1", 0.0, relevant=True),  # as asked .9, without its relevant page .2
        Labelled("q1", 0.0, relevant=False),
        Labelled("q2", 0.0, relevant=True),  # as asked .3, without .6
        Labelled("q2", 0.0, relevant=False),
        Labelled("q3", 0.0, relevant=False),  # nothing relevant was read: one case, .1
    ]
    calibration = Calibration("f", "m", "temperature", (1.0,), 0.0, 0.0, 3)
    after = (0.9, 0.2, 0.3, 0.6, 0.1)
    found = {d.threshold: d for d in decisions(labels, Fitted(calibration, after, after, {}))}
    at = found[0.5]  # said of: q1 without (.2), q3 (.1) -> both right; q2 is answered with .6 in both cases
    assert (at.precision, at.recall, at.kept) == (1.0, pytest.approx(2 / 3), 1.0)
    at = found[0.7]  # said of q1 without, q2 as asked (wrong), q2 without, q3
    assert (at.precision, at.recall, at.kept) == (pytest.approx(3 / 4), 1.0, 0.5)


def test_what_was_found_is_written_as_json_markdown_and_a_diagram(tmp_path) -> None:
    found = calibrate(recording(), SETTINGS, depth=10)
    save(found, tmp_path)
    assert (tmp_path / "calibrate.json").read_text() == as_json(found)
    assert "<svg" in (tmp_path / "reliability.svg").read_text()
    assert f"{found.calibration.ece_after:.3f} after" in markdown(found)


def test_joined_recordings_keep_every_question_apart() -> None:
    one, two = recording(30, ms=1.0), recording(30, ms=3.0)
    both = joined({"a": one, "b": two})
    assert both.ids[0] == "a:q0"
    assert both.ids[-1] == "b:q29"
    assert set(both.asked.qrels) == set(both.ids) == set(both.readings["table"].logits)
    assert both.readings["table"].ms_per_pair == (1.0,) * 30 + (3.0,) * 30
    assert len(set(both.asked.groups)) == 60
    assert len(both.arms["visual"]) == len(both.arm_ms["visual"]) == 60
    assert calibrate(both, SETTINGS, depth=10).calibration.questions == 60


def test_recordings_of_other_arms_cannot_be_joined() -> None:
    one = recording(5)
    other = Recording(one.asked, {"lexical": one.arms["visual"]}, {"lexical": one.arm_ms["visual"]})
    with pytest.raises(UsageError, match="same arms and rerankers"):
        joined({"a": one, "b": other})
    with pytest.raises(UsageError, match="if there are any"):
        joined({})
