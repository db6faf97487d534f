"""Late interaction: the definition, and the integer products that stand in for it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import UsageError
from retrieve import maxsim
from retrieve.encoder import Vectors
from retrieve.maxsim import EXACT_DIM, Kind, Lot, Scorer, late_interaction, quantised
from retrieve.native import kernel


def unit(count: int, dim: int, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def spans(lengths: list[int]) -> np.ndarray:
    ends = np.cumsum(lengths)
    return np.stack([ends - lengths, ends]).astype(np.int64)


def test_a_score_is_the_weighted_sum_of_each_tokens_best_product() -> None:
    query = np.array([[1, 0], [0, 1]], dtype=np.float32)
    page = np.array([[0.6, 0.8], [0.8, 0.6], [-1, 0]], dtype=np.float32)
    assert late_interaction(query, page) == pytest.approx(1.6)
    assert late_interaction(query, page, np.array([2, 0.5], dtype=np.float32)) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("query", "page"), [(np.zeros((0, 4)), np.zeros((2, 4))), (np.zeros((2, 4)), np.zeros((2, 3)))]
)
def test_vectors_that_cannot_be_compared_are_refused(query: np.ndarray, page: np.ndarray) -> None:
    with pytest.raises(UsageError, match="cannot compare"):
        late_interaction(query.astype(np.float32), page.astype(np.float32))


@settings(max_examples=40, deadline=None)
@given(
    dim=st.sampled_from([3, 4, 10, 20, 128]),
    kind=st.sampled_from(["int8", "float16"]),
    tokens=st.integers(1, 40),
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=12),
    seed=st.integers(0, 1000),
)
def test_integer_scores_are_close_to_the_definition_and_the_same_with_and_without_the_kernel(
    dim: int, kind: Kind, tokens: int, lengths: list[int], seed: int
) -> None:
    query = Vectors(unit(tokens, dim, seed), weights=unit(1, tokens, seed)[0])
    pages = quantised(unit(sum(lengths), dim, seed + 1), kind)
    at = spans(lengths)
    compiled = Scorer(query).scores(pages.codes, pages.scales, at)
    plain = Scorer(query, compiled=False).scores(pages.codes, pages.scales, at)
    exact = [late_interaction(query.rows, pages.rows[a:b], query.weights) for a, b in at.T]
    assert np.array_equal(compiled, plain)
    step = 0.01 if kind == "int8" else 1e-6  # against the rows that are stored, not those of before
    assert np.abs(compiled - exact).max() < step * np.abs(query.weights).sum() + 1e-6


@pytest.mark.parametrize("dim", [EXACT_DIM, EXACT_DIM + 1, 2048])
def test_the_largest_products_of_wide_vectors_are_exact_with_and_without_the_kernel(dim: int) -> None:
    same = np.full((3, dim), dim**-0.5, np.float32)
    same[1, ::2] *= -1
    same[2, 0] = 0  # the largest sum less one product: an odd number above 2**24
    pages, at = quantised(same), spans([1, 2])
    whole = 127**2 * np.array([dim, dim - 1]) * pages.scales[0].astype(np.float64)
    own = quantised(same[:1]).scales[0]
    for compiled in (True, False):
        scores = Scorer(Vectors(same[:1]), compiled=compiled).scores(pages.codes, pages.scales, at)
        np.testing.assert_array_equal(scores, whole.astype(np.float32) * np.float64(own))


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("kind", ["int8", "float16"])
def test_a_page_has_the_same_score_alone_and_in_company(*, compiled: bool, kind: Kind) -> None:
    pages, at = quantised(unit(40_000, 8, 1), kind), spans([700, 1, 3000, 41, 10_000, 26_258])
    scorer = Scorer(Vectors(unit(17, 8, 2)), compiled=compiled)
    together = scorer.scores(pages.codes, pages.scales, at)
    alone = [scorer.scores(pages.codes, pages.scales, at[:, n : n + 1].copy())[0] for n in range(6)]
    assert together.tolist() == alone


@given(sizes=st.lists(st.lists(st.integers(1, 9), max_size=6), max_size=5), seed=st.integers(0, 99))
def test_lots_are_scored_in_their_order_as_each_alone_however_they_are_cut(
    sizes: list[list[int]], seed: int
) -> None:
    scorer = Scorer(Vectors(unit(5, 8, seed)))
    stored = [quantised(unit(max(sum(lengths), 1), 8, seed + n)) for n, lengths in enumerate(sizes)]
    lots = [Lot(one.codes, one.scales, spans(own)) for one, own in zip(stored, sizes, strict=True)]
    alone = [score for lot in lots for score in scorer.scores(lot.codes, lot.scales, lot.spans)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(maxsim, "SHARE_ROWS", 1)
        assert scorer.scores_of(lots).tolist() == alone


def test_one_byte_a_dimension_loses_less_than_half_a_step() -> None:
    rows = unit(50, 128, 3)
    assert np.abs(quantised(rows).rows - rows).max() <= np.abs(rows).max() / 127 / 2 + 1e-6


def test_half_precision_keeps_ten_bits() -> None:
    rows = unit(50, 128, 3)
    assert np.abs(quantised(rows, "float16").rows - rows).max() <= 2**-11 * np.abs(rows).max()


def test_half_precision_sums_are_exact_in_any_order() -> None:
    query, rows = Vectors(unit(5, 128, 1)), unit(300, 128, 2)
    turned = np.random.default_rng(3).permutation(128)
    scores = [
        Scorer(Vectors(query.rows[:, order])).scores(page.codes, page.scales, spans([100, 150, 50]))
        for order in (np.arange(128), turned)
        for page in [quantised(np.ascontiguousarray(rows[:, order]), "float16")]
    ]
    assert scores[0].tolist() == scores[1].tolist()


def test_a_vector_that_is_not_finite_is_refused() -> None:
    with pytest.raises(UsageError, match="not finite"):
        quantised(np.array([[np.nan, 1]], dtype=np.float32))


def test_weights_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UsageError, match="finite weights"):
        Scorer(Vectors(unit(2, 4, 0), weights=np.ones(3, dtype=np.float32)))


def test_a_query_without_vectors_is_refused() -> None:
    with pytest.raises(UsageError, match="no vectors"):
        Scorer(Vectors(np.zeros((0, 4), dtype=np.float32)))


def test_the_kernel_refuses_pages_outside_the_codes() -> None:
    found = kernel()
    if found is None:
        pytest.skip("this machine has no C compiler or no byte multiplications")
    pages = quantised(unit(5, 8, 0))
    packed = found.pack(np.ones((2, 8), dtype=np.int8))
    for bad in ([[0], [6]], [[-1], [2]], [[3], [3]]):
        with pytest.raises(ValueError, match="outside the codes"):
            found.best(packed, pages.codes, pages.scales, np.array(bad, dtype=np.int64))
    with pytest.raises(ValueError, match="contiguous"):
        found.best(packed, pages.codes[::2], pages.scales[::2].copy(), np.array([[0], [1]], dtype=np.int64))
