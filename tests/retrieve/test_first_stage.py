"""FAISS, then pooled vectors: few of the best pages are missed, and no filter is."""

from pathlib import Path

import numpy as np
import pytest

from domain.errors import StoreError
from retrieve import first_stage
from retrieve.encoder import Vectors
from retrieve.first_stage import FirstStage
from retrieve.gathering import gathered, settled
from retrieve.maxsim import late_interaction

DIM, PAGES, TOKENS = 16, 500, 12


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def pages() -> np.ndarray:
    rng = np.random.default_rng(0)
    topics = unit(rng.normal(size=(60, DIM)))
    return unit(
        topics[rng.integers(0, 60, size=(PAGES, TOKENS))] + rng.normal(scale=0.1, size=(PAGES, TOKENS, DIM))
    )


def query(pages: np.ndarray, seed: int) -> Vectors:
    rng = np.random.default_rng(seed)
    rows = pages[rng.integers(PAGES), rng.permutation(TOKENS)[:5]]
    return Vectors(unit(rows + rng.normal(scale=0.05, size=rows.shape)))


def built(pages: np.ndarray, count: int = 8) -> FirstStage:
    uids = np.arange(1, PAGES + 1)
    return FirstStage.build(uids, lambda at: pages[at], dim=DIM, count=count)


@pytest.mark.parametrize("flat_rows", [0, 10_000])
def test_the_best_pages_are_among_the_candidates(
    pages: np.ndarray, monkeypatch: pytest.MonkeyPatch, flat_rows: int
) -> None:
    monkeypatch.setattr(first_stage, "FLAT_ROWS", flat_rows)
    first, kept = built(pages), []
    assert (first.cells > 1) == (flat_rows == 0)
    for seed in range(20):
        asked = query(pages, seed)
        exact = np.argsort([-late_interaction(asked.rows, page) for page in pages])[:5] + 1
        found = first.candidates(asked, wanted=50, living=np.arange(1, PAGES + 1))
        assert len(found) == 50
        kept.append(np.isin(exact, found).mean())
    assert np.mean(kept) > 0.95


def test_only_living_pages_are_found_and_all_of_them_when_few(pages: np.ndarray) -> None:
    first = built(pages)
    few = np.arange(3, 300, 40)
    assert first.candidates(query(pages, 1), wanted=20, living=few).tolist() == few.tolist()
    half = np.arange(2, PAGES, 2)
    found = first.candidates(query(pages, 1), wanted=20, living=half)
    assert len(found) >= 20
    assert np.isin(found, half).all()


def test_pages_newer_than_it_knows_are_passed_over(pages: np.ndarray) -> None:
    found = built(pages).candidates(query(pages, 1), wanted=10, living=np.arange(400, 900))
    assert found.max() <= PAGES


def test_extending_finds_new_pages_and_keeps_the_cells(
    pages: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_stage, "FLAT_ROWS", 0)
    uids = np.arange(1, PAGES + 1)
    first = FirstStage.build(uids[:400], lambda at: pages[at], dim=DIM, count=8)
    cells = first.cells
    first.extend(uids[400:], lambda at: pages[400 + at])
    assert (first.cells, first.covered, first.trained) == (cells, PAGES, 400)
    own = Vectors(pages[450])
    assert 451 in first.candidates(own, wanted=25, living=uids)


def test_equal_pages_are_all_found_when_they_tie() -> None:
    same = np.repeat(unit(np.ones((1, 1, DIM))), 30, axis=0)
    first = FirstStage.build(np.arange(1, 31), lambda at: same[at], dim=DIM, count=4)
    found = first.candidates(Vectors(same[0]), wanted=5, living=np.arange(1, 31))
    assert found.tolist() == list(range(1, 31))


def test_what_was_saved_is_loaded_and_damage_is_refused(pages: np.ndarray, tmp_path: Path) -> None:
    first = built(pages)
    first.save(tmp_path)
    asked, living = query(pages, 3), np.arange(1, PAGES + 1)
    before = first.candidates(asked, wanted=30, living=living).tolist()
    again = FirstStage.load(tmp_path, dim=DIM, count=8)
    assert again.candidates(asked, wanted=30, living=living).tolist() == before
    with pytest.raises(StoreError, match="other options"):
        FirstStage.load(tmp_path, dim=DIM, count=9)
    for path in sorted(tmp_path.iterdir()):
        whole = path.read_bytes()
        path.write_bytes(whole[:40] + bytes([whole[40] ^ 1]) + whole[41:])
        with pytest.raises(StoreError):
            FirstStage.load(tmp_path, dim=DIM, count=8)
        path.unlink()
        with pytest.raises(StoreError):
            FirstStage.load(tmp_path, dim=DIM, count=8)
        path.write_bytes(whole)


def test_a_token_that_did_not_reach_a_page_counts_with_the_last_score_it_saw() -> None:
    scores = np.array([[0.9, 0.5, 0.4], [0.8, 0.3, 0.2]], dtype=np.float32)
    owners = np.array([[7, 3, 7], [3, 5, -1]])
    asked = Vectors(np.eye(2, dtype=np.float32), weights=np.array([1, 2], dtype=np.float32))
    pages, totals = gathered(asked, scores, owners)
    assert pages.tolist() == [3, 5, 7]
    assert totals == pytest.approx([0.5 + 2 * 0.8, 0.4 + 2 * 0.3, 0.9 + 2 * 0.3])
    assert settled(asked, scores, totals, wanted=1)
    assert not settled(asked, scores, totals, wanted=4)
