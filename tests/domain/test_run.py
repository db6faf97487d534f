import pytest

from domain.page import Hit, Mark, Query
from domain.run import Run, marked, ranked
from domain.stage import cut, fuse, then


def test_a_page_that_stands_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="stands twice"):
        ranked([Hit("d/0001", 1.0), Hit("d/0001", 2.0)])


@pytest.mark.parametrize("score", [float("nan"), float("inf"), float("-inf")])
def test_a_score_that_is_not_finite_is_refused(score: float) -> None:
    with pytest.raises(ValueError, match="not finite"):
        ranked([Hit("d/0001", score)])


def test_marks_tell_rank_and_score_and_keep_what_stood_before() -> None:
    once = marked((Hit("d/0002", 3.0), Hit("d/0001", 1.0)), "visual")
    twice = marked(once, "rerank")
    assert twice[1].trace == (Mark("visual", 2, 1.0), Mark("rerank", 2, 1.0))


def test_a_run_of_no_queries_passes_through_every_stage() -> None:
    assert then(fuse(then(), then()), cut(3))(Run.ask()) == Run(())


def test_a_question_asked_has_no_hits_yet() -> None:
    assert Run.ask(Query("q", "text")).answers[0].hits == ()


def test_weights_that_do_not_fit_the_arms_are_refused() -> None:
    with pytest.raises(ValueError, match="2 arms need 2 weights"):
        fuse(then(), then(), weights=(1.0,))


def test_a_negative_cut_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot keep -1 pages"):
        cut(-1)
