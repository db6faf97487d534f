"""Joining FAISS indexes of the same cells."""

from functools import cache

import faiss
import numpy as np
import pytest

from retrieve.cells import merge_cells

DIM = 128


@cache
def trained(kind: str) -> faiss.IndexIVF:
    index = faiss.index_factory(DIM, kind, faiss.METRIC_INNER_PRODUCT)
    if kind.endswith("fs"):
        index.pq.cp.niter = 2
    index.train(np.random.default_rng(1).normal(size=(640, DIM)).astype(np.float32))
    return index


@pytest.mark.parametrize("kind", ["IVF1,PQ64x4fs", "IVF3,PQ64x4fs", "IVF1,SQ8"])
@pytest.mark.parametrize("first", [0, 1000, 1024, 2048])
@pytest.mark.parametrize("added", [0, 1, 700, 1024])
def test_merged_cells_hold_what_cells_filled_at_once_hold(kind: str, first: int, added: int) -> None:
    rows = np.random.default_rng(0).normal(size=(first + added + 64, DIM)).astype(np.float32)
    empty = trained(kind)
    uids = np.arange(first + added, dtype=np.int64) + 7
    one, other, whole = (faiss.clone_index(empty) for _ in range(3))
    one.add_with_ids(rows[:first], uids[:first])
    other.add_with_ids(rows[first : first + added], uids[first:])
    whole.add_with_ids(rows[: first + added], uids)
    merge_cells(one, other)
    assert (one.ntotal, other.ntotal) == (first + added, 0)
    for index in (one, whole):
        index.nprobe = 3
    got, wanted = one.search(rows[-64:], 20), whole.search(rows[-64:], 20)
    np.testing.assert_array_equal(got[0], wanted[0])
    np.testing.assert_array_equal(got[1], wanted[1])


def test_a_cell_that_is_merged_again_and_again_stays_whole() -> None:
    rows = np.random.default_rng(0).normal(size=(4096, DIM)).astype(np.float32)
    empty = trained("IVF1,PQ64x4fs")
    grown, whole = faiss.clone_index(empty), faiss.clone_index(empty)
    whole.add_with_ids(rows, np.arange(4096))
    for start in range(0, 4096, 512):
        part = faiss.clone_index(empty)
        part.add_with_ids(rows[start : start + 512], np.arange(start, start + 512))
        merge_cells(grown, part)
    np.testing.assert_array_equal(grown.search(rows[:32], 50)[0], whole.search(rows[:32], 50)[0])
