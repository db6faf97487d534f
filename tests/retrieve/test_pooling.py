"""A few vectors stand for a page."""

import numpy as np

from retrieve.pooling import pooled


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_a_page_of_few_vectors_keeps_them_all_those_that_differ_most_first() -> None:
    rows = unit(np.random.default_rng(0).normal(size=(6, 8)))
    rows[5] = rows[0]
    for count in (6, 9):
        found = pooled(rows, count)
        assert sorted(map(tuple, found)) == sorted(map(tuple, rows))
        assert (rows @ found[:5].T).max(axis=1).min() > 0.999


def test_groups_are_found_wherever_they_stand_on_the_page() -> None:
    rng = np.random.default_rng(1)
    centres = np.eye(8, dtype=np.float32)[:4]
    rows = unit(np.repeat(centres, [1, 30, 60, 9], axis=0) + rng.normal(scale=0.02, size=(100, 8)))
    found = pooled(rows[rng.permutation(100)], 4)
    assert (centres @ found.T).max(axis=1).min() > 0.99


def test_pooled_vectors_have_unit_length_and_do_not_depend_on_other_pages() -> None:
    rows = unit(np.random.default_rng(2).normal(size=(300, 16)))
    found = pooled(rows, 20)
    assert found.shape == (20, 16)
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert np.array_equal(found, pooled(rows.copy(), 20))


def test_equal_and_opposite_vectors_do_no_harm() -> None:
    row = unit(np.ones((1, 4)))
    assert np.isfinite(pooled(np.repeat(row, 50, axis=0), 8)).all()
    assert np.isfinite(
        pooled(np.concatenate([np.repeat(row, 30, axis=0), np.repeat(-row, 30, axis=0)]), 1)
    ).all()
