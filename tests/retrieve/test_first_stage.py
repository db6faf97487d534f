"""FAISS, then pooled vectors: few of the best pages are missed, and no filter is."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from domain.errors import StoreError
from retrieve import effort
from retrieve import first_stage_files as files
from retrieve.encoder import Vectors
from retrieve.first_stage import FirstStage
from retrieve.gathering import gathered, settled
from retrieve.maxsim import Scorer, late_interaction

DIM, PAGES, TOKENS = 16, 500, 12
UIDS = np.arange(1, PAGES + 1)


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


def trained(pages: np.ndarray, uids: np.ndarray, count: int = 8) -> FirstStage:
    lengths = np.repeat(pages.shape[1], len(uids))
    return FirstStage.fitted(uids, lambda at: pages[at], dim=pages.shape[2], count=count, lengths=lengths)


def built(pages: np.ndarray, count: int = 8) -> FirstStage:
    uids = np.arange(1, len(pages) + 1)
    first = trained(pages, uids, count)
    first.take(first.part(uids, lambda at: pages[at]))
    return first


def found(first: FirstStage, asked: Vectors, *, wanted: int, living: np.ndarray = UIDS) -> list[int]:
    return first.candidates([Scorer(asked)], wanted=[wanted], alive=first.alive(living))[0].tolist()


def test_the_best_pages_are_among_the_candidates(pages: np.ndarray) -> None:
    first, kept = built(pages), []
    for seed in range(20):
        asked = query(pages, seed)
        exact = np.argsort([-late_interaction(asked.rows, page) for page in pages])[:5] + 1
        chosen = found(first, asked, wanted=50)
        assert len(chosen) == 50
        kept.append(np.isin(exact, chosen).mean())
    assert np.mean(kept) > 0.95


@pytest.mark.parametrize("dim", [3, 20, 1024])
def test_vectors_of_any_width_are_found(dim: int) -> None:
    rows = unit(np.random.default_rng(1).normal(size=(30, 2, dim)))
    first = built(rows)
    for page in (0, 17, 29):
        assert page + 1 in found(first, Vectors(rows[page]), wanted=3, living=np.arange(1, 31))


def test_only_living_pages_are_found_and_all_of_them_when_few(pages: np.ndarray) -> None:
    first = built(pages)
    few = np.arange(3, 300, 40)
    assert found(first, query(pages, 1), wanted=20, living=few) == few.tolist()
    half = np.arange(2, PAGES, 2)
    chosen = found(first, query(pages, 1), wanted=20, living=half)
    assert len(chosen) >= 20
    assert np.isin(chosen, half).all()


def test_pages_newer_than_it_knows_are_passed_over(pages: np.ndarray) -> None:
    assert max(found(built(pages), query(pages, 1), wanted=10, living=np.arange(400, 900))) <= PAGES
    assert found(built(pages), query(pages, 1), wanted=10, living=np.arange(600, 900)) == []


def test_what_is_taken_later_is_found_in_the_cells_of_before(pages: np.ndarray) -> None:
    first = trained(pages[:400], UIDS[:400])
    first.take(first.part(UIDS[:400], lambda at: pages[at]))
    before = first.alive(UIDS)
    more = first.part(UIDS[400:], lambda at: pages[400 + at])
    assert first.covered == 400
    first.take(more)
    assert (first.covered, first.trained, first.shows(before)) == (PAGES, 400, False)
    own = Vectors(pages[450])
    assert 451 in found(first, own, wanted=25)
    # a search that began before sees what was known then
    assert max(first.candidates([Scorer(own)], wanted=[25], alive=before)[0]) <= 400


def test_equal_pages_are_all_found_when_they_tie() -> None:
    same = np.repeat(unit(np.ones((1, 1, DIM))), 30, axis=0)
    chosen = found(built(same, 4), Vectors(same[0]), wanted=5, living=np.arange(1, 31))
    assert chosen == list(range(1, 31))


def saved(first: FirstStage, pages: np.ndarray, folder: Path, steps: list[int]) -> files.Stamp:
    """The files of `first`, which takes what it reads from them."""
    stamp, start = files.Stamp(first.count, first.trained, files.write_cells(folder, first.template, 1), 2), 0
    for end in steps:
        part = first.part(UIDS[start:end], lambda at, start=start: pages[start + at])
        stamp = stamp.adding(files.write_part(folder, [part], part.index, stamp.next_part))
        first.take(files.read_part(folder, stamp.parts[-1], DIM))
        start = end
    files.write_stamp(folder, stamp)
    return stamp


def test_what_was_saved_is_loaded_and_damage_is_refused(pages: np.ndarray, tmp_path: Path) -> None:
    asked, folder = query(pages, 3), tmp_path / "cache"
    before = found(built(pages), asked, wanted=30)
    saved(trained(pages, UIDS), pages, folder, [300, PAGES])

    def again() -> FirstStage:
        return files.load(folder, files.read_stamp(folder, count=8), dim=DIM)

    assert found(again(), asked, wanted=30) == before
    with pytest.raises(StoreError, match="other options"):
        files.read_stamp(folder, count=9)
    for path in sorted(folder.iterdir()):
        whole = path.read_bytes()
        path.write_bytes(whole[:40] + bytes([whole[40] ^ 1]) + whole[41:])
        with pytest.raises(StoreError):
            again()
        path.unlink()
        with pytest.raises(StoreError):
            again()
        path.write_bytes(whole)


def test_many_small_parts_become_one_and_nothing_else_is_written_anew(
    pages: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "SMALL", 100)
    first = trained(pages, UIDS)
    stamp = saved(first, pages, tmp_path, [400, *range(410, PAGES, 10), PAGES])
    few = replace(stamp, parts=stamp.parts[:9])
    assert files.joined(first, tmp_path, few, dim=DIM) == few
    after = files.joined(first, tmp_path, stamp, dim=DIM)
    assert after.parts[0] == stamp.parts[0]
    assert [entry.pages for entry in after.parts] == [400, 100]
    asked = query(pages, 5)
    before = found(files.load(tmp_path, stamp, dim=DIM), asked, wanted=30)
    files.write_stamp(tmp_path, after)
    assert found(files.load(tmp_path, after, dim=DIM), asked, wanted=30) == before
    assert len(list(tmp_path.iterdir())) == 4


def test_all_parts_become_one_when_much_lies_outside_the_first(pages: np.ndarray, tmp_path: Path) -> None:
    first, asked = trained(pages, UIDS), query(pages, 5)
    stamp = saved(first, pages, tmp_path, [300, 400, PAGES])
    few = replace(stamp, parts=stamp.parts[:2])
    assert files.joined(first, tmp_path, few, dim=DIM) == few
    before = found(first, asked, wanted=30)
    alive = first.alive(UIDS)
    after = files.joined(first, tmp_path, stamp, dim=DIM)
    assert [(entry.pages, entry.rows) for entry in after.parts] == [(PAGES, sum(e.rows for e in stamp.parts))]
    files.write_stamp(tmp_path, after)
    assert found(first, asked, wanted=30) == before
    assert (
        first.candidates([Scorer(asked)], wanted=[30], alive=alive)[0].tolist() == before
    )  # a search that began before
    again = files.load(tmp_path, after, dim=DIM)
    assert found(again, asked, wanted=30) == before
    more = first.part(np.array([PAGES + 1]), lambda _: pages[7])
    for one in (first, again):
        one.take(files.read_part(tmp_path, files.write_part(tmp_path, [more], more.index, 90), DIM))
        assert PAGES + 1 in found(one, Vectors(pages[7]), wanted=10, living=np.arange(1, PAGES + 2))


def test_a_token_that_did_not_reach_a_page_counts_with_the_last_score_it_saw() -> None:
    scores = np.array([[0.9, 0.5, 0.4], [0.8, 0.3, 0.2]], dtype=np.float32)
    owners = np.array([[7, 3, 7], [3, 5, -1]])
    asked = Vectors(np.eye(2, dtype=np.float32), weights=np.array([1, 2], dtype=np.float32))
    pages, totals = gathered(asked, scores, owners)
    assert pages.tolist() == [3, 5, 7]
    assert totals == pytest.approx([0.5 + 2 * 0.8, 0.4 + 2 * 0.3, 0.9 + 2 * 0.3])
    assert settled(asked, scores, totals, wanted=1)
    assert not settled(asked, scores, totals, wanted=4)


@pytest.mark.parametrize(
    ("tokens", "pages", "depth"),
    [
        (24, 4_000, 800),
        (24, 20_000, 1600),
        (24, 10**6, 1600),
        (10, 40_000, 3200),
        (10, 10**6, 3200),
        (100, 10**6, 800),
        (1, 10**6, 8000),
    ],
)
def test_more_is_asked_for_where_there_are_more_pages_and_fewer_tokens(
    tokens: int, pages: int, depth: int
) -> None:
    assert effort.asked(tokens, pages, most=8000) == depth
    assert effort.asked(tokens, pages, most=2047) == min(depth, 1600)


def test_more_pages_are_compared_where_there_are_more_up_to_a_bound() -> None:
    assert [effort.compared(pages, 400) for pages in (1000, 36_000, 10**6)] == [4000, 6000, 8000]
    assert effort.compared(1000, 6000) == 12_000
