"""The laws of the algebra of stages, over rankings drawn as permutations of one small set of pages."""

import math

from hypothesis import given
from hypothesis import strategies as st

from domain.page import Hit, Query
from domain.run import Answer, Run, marked, ranked
from domain.stage import Stage, cut, fuse, then

PAGES = tuple(f"doc/{number:04d}" for number in range(1, 8))
ASKED = Run.ask(Query("q1", "first"), Query("q2", "second"))


def rankings() -> st.SearchStrategy[tuple[Hit, ...]]:
    def as_hits(pages: list[str], length: int) -> tuple[Hit, ...]:
        hits = tuple(Hit(page, float(len(pages) - rank)) for rank, page in enumerate(pages[:length]))
        return marked(hits, f"arm{pages[0][-1]}")

    return st.builds(as_hits, st.permutations(PAGES), st.integers(0, len(PAGES)))


def arms() -> st.SearchStrategy[Stage]:
    def arm(first: tuple[Hit, ...], second: tuple[Hit, ...]) -> Stage:
        def answer(run: Run) -> Run:
            found = (first, second)
            return Run(tuple(Answer(a.query, found[i % 2]) for i, a in enumerate(run.answers)))

        return answer

    return st.builds(arm, rankings(), rankings())


def stages() -> st.SearchStrategy[Stage]:
    return st.one_of(st.builds(cut, st.integers(0, 8)), arms(), st.builds(fuse, arms(), arms()))


def order(run: Run) -> list[list[str]]:
    return [[hit.page for hit in answer.hits] for answer in run.answers]


@given(stages(), stages(), stages())
def test_then_is_associative(a: Stage, b: Stage, c: Stage) -> None:
    assert then(a, then(b, c))(ASKED) == then(then(a, b), c)(ASKED) == then(a, b, c)(ASKED)


@given(stages())
def test_then_of_nothing_changes_nothing(a: Stage) -> None:
    assert then()(ASKED) == ASKED
    assert then(then(), a)(ASKED) == a(ASKED) == then(a, then())(ASKED)


@given(arms(), st.integers(0, 9), st.integers(0, 9))
def test_two_cuts_are_the_smaller_cut(arm: Stage, m: int, n: int) -> None:
    assert then(arm, cut(m), cut(n))(ASKED) == then(arm, cut(min(m, n)))(ASKED)


@given(arms(), st.integers(0, 9), st.integers(0, 9))
def test_searching_deep_then_cutting_equals_searching_shallow(arm: Stage, k: int, more: int) -> None:
    assert then(arm, cut(k + more), cut(k))(ASKED) == then(arm, cut(k))(ASKED)


@given(st.lists(arms(), min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_fuse_takes_its_arms_in_any_order(several: list[Stage], random: object) -> None:
    shuffled = list(several)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    one, other = fuse(*several)(ASKED), fuse(*shuffled)(ASKED)
    assert one == other
    assert [[h.trace for h in a.hits] for a in one.answers] == [
        [h.trace for h in a.hits] for a in other.answers
    ]


@given(arms(), arms(), st.floats(0.1, 10))
def test_fuse_scores_are_the_weighted_reciprocal_ranks(a: Stage, b: Stage, weight: float) -> None:
    fused = fuse(a, b, weights=(1.0, weight), smoothing=60)(ASKED)
    for answer, left, right in zip(fused.answers, a(ASKED).answers, b(ASKED).answers, strict=True):
        ranks = [{hit.page: rank for rank, hit in enumerate(x.hits, 1)} for x in (left, right)]
        for hit in answer.hits:
            parts = [
                w / (60 + r[hit.page]) for w, r in zip((1.0, weight), ranks, strict=True) if hit.page in r
            ]
            assert hit.score == math.fsum(parts)


@given(arms())
def test_fusing_one_arm_keeps_its_order(arm: Stage) -> None:
    assert order(fuse(arm)(ASKED)) == order(arm(ASKED))


@given(st.permutations(PAGES))
def test_the_order_of_equal_scores_is_the_falling_page_id(pages: list[str]) -> None:
    assert [hit.page for hit in ranked(Hit(page, 1.0) for page in pages)] == sorted(pages, reverse=True)
