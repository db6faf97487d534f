"""The laws of fusion by weighted, normalised scores."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.fusion import Normalise, fuse_scores, minmax, standardised
from domain.page import Hit, Query
from domain.run import Answer, Run, falling, marked, ranked
from domain.stage import Stage

PAGES = tuple(f"doc/{number:04d}" for number in range(1, 8))
ASKED = Run.ask(Query("q1", "first"))
SCORES = st.one_of(st.integers(0, 4).map(float), st.integers(-4000, 4000).map(lambda n: n / 8))
normalisers = st.sampled_from([minmax, standardised])


def arms() -> st.SearchStrategy[Stage]:
    def arm(hits: list[Hit], name: str) -> Stage:
        found = marked(ranked(hits), name)
        return lambda run: Run(tuple(Answer(a.query, found, notes=(name,)) for a in run.answers))

    hits = st.lists(st.builds(Hit, st.sampled_from(PAGES), SCORES), unique_by=lambda hit: hit.page)
    return st.builds(arm, hits, st.sampled_from(["one", "two", "three"]))


def order(run: Run) -> list[str]:
    return [hit.page for hit in run.answers[0].hits]


@given(st.lists(arms(), min_size=1, max_size=4), st.randoms(use_true_random=False), normalisers)
def test_the_order_of_the_arms_does_not_matter(
    several: list[Stage], random: object, normalise: Normalise
) -> None:
    shuffled = list(several)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    one, other = (fuse_scores(*stages, normalise=normalise)(ASKED) for stages in (several, shuffled))
    assert one == other
    assert [hit.trace for hit in one.answers[0].hits] == [hit.trace for hit in other.answers[0].hits]


@given(arms(), normalisers)
def test_one_arm_alone_keeps_its_order(arm: Stage, normalise: Normalise) -> None:
    assert order(fuse_scores(arm, normalise=normalise)(ASKED)) == order(arm(ASKED))


@given(arms(), arms(), normalisers)
def test_an_arm_of_no_weight_decides_nothing_among_the_pages_of_the_other(
    arm: Stage, other: Stage, normalise: Normalise
) -> None:
    fused = fuse_scores(arm, other, weights=(1.0, 0.0), normalise=normalise)(ASKED)
    own = order(arm(ASKED))
    assert [page for page in order(fused) if page in own] == own


@given(arms(), arms(), normalisers)
def test_every_page_of_every_arm_is_there_once_with_every_trace(
    a: Stage, b: Stage, normalise: Normalise
) -> None:
    fused = fuse_scores(a, b, normalise=normalise)(ASKED).answers[0]
    assert sorted(hit.page for hit in fused.hits) == sorted({*order(a(ASKED)), *order(b(ASKED))})
    for hit in fused.hits:
        came = {
            mark
            for arm in (a, b)
            for h in arm(ASKED).answers[0].hits
            if h.page == hit.page
            for mark in h.trace
        }
        assert set(hit.trace) == came
    assert set(fused.notes) == {note for arm in (a, b) for note in arm(ASKED).answers[0].notes}


@given(st.lists(SCORES, min_size=1, max_size=9).map(sorted), normalisers)
def test_normalising_keeps_the_order(scores: list[float], normalise: Normalise) -> None:
    assert all(low <= high for low, high in pairwise(normalise(scores)))


@given(st.lists(st.integers(-99, 99).map(float), min_size=1), st.sampled_from([0.5, 2.0]), st.integers(-9, 9))
def test_normalising_forgets_shift_and_scale(scores: list[float], scale: float, shift: int) -> None:
    moved = [score * scale + shift for score in scores]
    assert minmax(moved) == pytest.approx(minmax(scores), abs=1e-9)
    assert standardised(moved) == pytest.approx(standardised(scores), abs=1e-9)


@given(st.lists(SCORES))
def test_falling_scores_fall_strictly_and_never_rise_above_what_they_were(scores: list[float]) -> None:
    lowered = falling(scores)
    assert all(high > low for high, low in pairwise(lowered))
    assert all(new <= old for new, old in zip(lowered, scores, strict=True))


def test_by_hand() -> None:
    a = lambda run: Run((Answer(run.answers[0].query, (Hit("d/0001", 9.0), Hit("d/0002", 5.0))),))  # noqa: E731  # two tables
    b = lambda run: Run((Answer(run.answers[0].query, (Hit("d/0002", 0.5), Hit("d/0003", 0.1))),))  # noqa: E731
    hits = fuse_scores(a, b, weights=(1.0, 2.0))(ASKED).answers[0].hits
    assert [(hit.page, hit.score) for hit in hits] == [("d/0002", 2.0), ("d/0001", 1.0), ("d/0003", 0.0)]


@pytest.mark.parametrize("weights", [(1.0,), (1.0, -1.0), (1.0, float("nan"))])
def test_weights_that_do_not_fit_are_refused(weights: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="2 arms need 2 weights"):
        fuse_scores(lambda run: run, lambda run: run, weights=weights)
