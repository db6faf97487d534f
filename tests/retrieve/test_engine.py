"""The engine on disk: it survives what disks and crashes do, or says so; it never ranks on damaged vectors."""

import gc
import logging
import multiprocessing
import os
import shutil
import subprocess
import sys
import weakref
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest

from domain.errors import BusyError, StoreError, UsageError
from domain.fingerprint import Fingerprint
from domain.page import page_id
from retrieve import effort, tokens
from retrieve.encoder import Vectors
from retrieve.engine import Engine
from retrieve.engine_options import EngineOptions
from retrieve.files import sealed, unsealed
from retrieve.maxsim import Kind
from retrieve.segment import PageRecord
from retrieve.tokens import TokenStore

DIM = 16
MADE_BY = Fingerprint("test", revision="1")


def opened(directory: Path, *, writable: bool = False, exact_rows: int = 10_000) -> Engine:
    options = EngineOptions(pooled=4, candidates=10, products=1000, exact_rows=exact_rows)
    return Engine.open(directory, fingerprint=MADE_BY, dim=DIM, options=options, writable=writable)


def vectors(count: int, seed: int) -> Vectors:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(count, DIM)).astype(np.float32)
    corners = rng.random((count, 4)).astype(np.float32)
    return Vectors(rows / np.linalg.norm(rows, axis=1, keepdims=True), boxes=corners)


PAGES = [page_id(f"doc{number // 5}", number % 5 + 1) for number in range(40)]
ROWS = [vectors(8, number) for number in range(40)]


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    engine = opened(tmp_path / "g", writable=True)
    for start in range(0, 40, 10):
        engine.add(PAGES[start : start + 10], ROWS[start : start + 10])
    engine.close()
    return tmp_path / "g"


def flip(path: Path, at: float) -> None:
    data = bytearray(path.read_bytes())
    data[int(len(data) * at)] ^= 0x10
    path.write_bytes(data)


def segments(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.tokens"))


def test_what_was_added_is_there_after_reopening(filled: Path) -> None:
    engine = opened(filled)
    assert engine.pages() == set(PAGES)
    stored = engine.vectors(PAGES[3])
    assert stored is not None
    assert np.abs(stored.rows - ROWS[3].rows).max() < 0.005
    assert np.abs(stored.boxes - ROWS[3].boxes).max() < 1e-4
    assert engine.vectors("unknown/0001") is None


def test_another_encoder_is_refused_and_both_are_named(filled: Path) -> None:
    with pytest.raises(StoreError, match=r"made by test .* is other .* index again"):
        Engine.open(filled, fingerprint=Fingerprint("other"), dim=DIM)
    with pytest.raises(StoreError, match="8 dimensions"):
        Engine.open(filled, fingerprint=MADE_BY, dim=8)


def test_reading_what_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="index something first"):
        opened(tmp_path / "nothing")


def test_a_second_writer_is_refused_and_the_first_goes_on(filled: Path) -> None:
    first = opened(filled, writable=True)
    with pytest.raises(BusyError, match="another process writes"):
        opened(filled, writable=True)
    first.remove(PAGES[:1])
    first.close()
    assert len(opened(filled, writable=True)) == 39


def test_a_reader_cannot_write(filled: Path) -> None:
    with pytest.raises(StoreError, match="opened for reading"):
        opened(filled).add(PAGES[:1], ROWS[:1])


def test_vectors_that_do_not_fit_are_refused_before_anything_is_written(filled: Path) -> None:
    engine = opened(filled, writable=True)
    with pytest.raises(UsageError, match=r"shape \(2, 3\)"):
        engine.add(["a/0001", "a/0002"], [ROWS[0], Vectors(np.ones((2, 3), dtype=np.float32))])
    with pytest.raises(UsageError, match="once"):
        engine.add(["a/0001", "a/0001"], ROWS[:2])
    with pytest.raises(UsageError, match="not finite"):
        engine.add(["a/0001"], [Vectors(np.full((1, DIM), np.nan, dtype=np.float32))])
    assert engine.pages() == set(PAGES)
    with pytest.raises(UsageError, match="3 dimensions"):
        engine.search(Vectors(np.ones((2, 3), dtype=np.float32)), k=1)


def test_a_flipped_bit_in_the_vectors_is_never_ranked_on(filled: Path) -> None:
    flip(segments(filled)[1], 0.3)
    engine = opened(filled)
    with pytest.raises(StoreError, match=r"doc\d/000\d are damaged.*verify --repair"):
        engine.search(ROWS[0], k=5)
    damage = engine.verify(full=True)
    assert [len(one.pages) for one in damage] == [1]
    assert engine.verify(full=False) == ()


@pytest.mark.parametrize("at", [0.01, 0.3, 0.6, 0.75, 0.9, 0.999])
def test_every_flipped_bit_is_found_and_repaired(filled: Path, at: float) -> None:
    before = opened(filled).search(ROWS[7], k=40)
    flip(segments(filled)[2], at)
    writer = opened(filled, writable=True)
    found = writer.damaged + writer.verify(full=True)
    writer.rebuild()
    missing = [number for number, page in enumerate(PAGES) if page not in writer.pages()]
    assert found or not missing
    writer.add([PAGES[number] for number in missing], [ROWS[number] for number in missing])
    assert writer.verify(full=True) == ()
    assert writer.search(ROWS[7], k=40) == before


@pytest.mark.parametrize("trouble", ["cut", "missing", "hole", "foreign"])
def test_a_lost_segment_is_refused_by_readers_and_forgotten_by_the_writer(filled: Path, trouble: str) -> None:
    path = segments(filled)[0]
    if trouble == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif trouble == "missing":
        path.unlink()
    elif trouble == "hole":
        path.write_bytes(bytes(path.stat().st_size))
    else:
        path.write_bytes(b"RECTOTK9" + path.read_bytes()[8:])
    with pytest.raises(StoreError, match="10 pages are lost"):
        opened(filled).search(ROWS[0], k=5)
    writer = opened(filled, writable=True)
    assert [one.lost for one in writer.damaged] == [10]
    assert writer.pages() == set(PAGES[10:])
    assert len(writer.search(ROWS[0], k=50)) == 30
    writer.close()
    assert opened(filled).damaged == ()


def test_a_damaged_manifest_is_read_from_its_copy(filled: Path) -> None:
    flip(filled / "manifest.json", 0.5)
    assert opened(filled).pages() == set(PAGES)
    flip(filled / "manifest.copy.json", 0.5)
    with pytest.raises(StoreError, match="no readable manifest"):
        opened(filled)


def test_a_manifest_of_another_version_is_refused(filled: Path) -> None:
    fields = unsealed((filled / "manifest.json").read_bytes())
    for name in ("manifest.json", "manifest.copy.json"):
        (filled / name).write_bytes(sealed({**fields, "format": 9}))
    with pytest.raises(StoreError, match="another version"):
        opened(filled)


def test_files_left_by_a_crash_are_swept_and_never_served(filled: Path) -> None:
    shutil.copy(segments(filled)[0], filled / "99999999.tokens")
    (filled / ".tmp-left").write_bytes(b"half")
    assert len(opened(filled)) == 40
    opened(filled, writable=True).close()
    assert not (filled / "99999999.tokens").exists()
    assert not (filled / ".tmp-left").exists()


def test_removed_vectors_leave_the_disk(filled: Path) -> None:
    engine = opened(filled, writable=True)
    before = engine.size().disk_bytes
    engine.remove(PAGES[:35])
    engine.compact()
    assert engine.size().disk_bytes < before / 4
    assert engine.pages() == set(PAGES[35:])
    assert engine.verify(full=True) == ()


def test_half_precision_is_kept_whatever_is_asked_for_later(tmp_path: Path) -> None:
    options = EngineOptions(stored="float16")
    engine = Engine.open(tmp_path, fingerprint=MADE_BY, dim=DIM, options=options, writable=True)
    engine.add(PAGES, ROWS)
    bigger = engine.size().disk_bytes
    engine.close()
    again = opened(tmp_path, writable=True)
    again.add(PAGES[:3], ROWS[:3])
    stored = again.vectors(PAGES[3])
    assert stored is not None
    assert np.abs(stored.rows - ROWS[3].rows).max() < 0.0005
    assert again.verify(full=True) == ()
    again.close()
    flip(segments(tmp_path)[0], 0.3)
    with pytest.raises(StoreError, match="are damaged"):
        opened(tmp_path).search(ROWS[0], k=40)
    plain = opened(tmp_path / "plain", writable=True)
    plain.add(PAGES, ROWS)
    assert plain.size().disk_bytes < bigger
    plain.close()


def test_pages_may_be_added_and_removed_while_segments_are_joined(tmp_path: Path) -> None:
    store = TokenStore(tmp_path, fingerprint=MADE_BY, dim=DIM, writable=True)
    for page, rows in zip(PAGES[:20], ROWS, strict=False):
        store.add([(page, PageRecord.of(page, 0, rows, "int8"))])
    before, write = set(store.snapshot.pages), tokens.write_segment

    def interrupted(path: Path, records: list[PageRecord], *, dim: int, kind: Kind) -> None:
        write(path, records, dim=dim, kind=kind)
        tokens.write_segment = write  # what follows happens between the copy and its commit
        store.remove([records[0].page])
        store.add([(PAGES[30], PageRecord.of(PAGES[30], 0, ROWS[30], "int8"))])
        before.symmetric_difference_update({records[0].page, PAGES[30]})

    tokens.write_segment = interrupted
    store.merge()
    assert tokens.write_segment is write
    assert set(store.snapshot.pages) == before
    assert len(segments(tmp_path)) < 20
    assert store.verify() == ()
    store.close()
    again = TokenStore(tmp_path, fingerprint=MADE_BY, dim=DIM, writable=True)
    assert set(again.snapshot.pages) == before
    again.close()


def test_many_small_batches_are_merged(tmp_path: Path) -> None:
    engine = opened(tmp_path, writable=True)
    for page, rows in zip(PAGES, ROWS, strict=True):
        engine.add([page], [rows])
    engine.settle()
    assert len(segments(tmp_path)) < 16
    assert engine.verify(full=True) == ()
    assert engine.pages() == set(PAGES)
    assert engine.search(ROWS[5], k=1)[0].page == PAGES[5]


def test_a_backlog_of_segments_is_joined_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "LARGEST", 10)
    store = TokenStore(tmp_path, fingerprint=MADE_BY, dim=DIM, writable=True)
    for page, rows in zip(PAGES, ROWS, strict=True):
        store.add([(page, PageRecord.of(page, 0, rows, "int8"))])
    store.merge()
    assert [entry.pages for entry in store.snapshot.manifest.segments] == [10] * 4
    assert store.snapshot.pages == set(PAGES)
    store.close()


def test_a_damaged_or_missing_first_stage_is_rebuilt_and_changes_no_ranking(filled: Path) -> None:
    first = opened(filled, writable=True, exact_rows=100)
    first.settle()
    before = first.search(ROWS[9], k=5)
    first.close()
    flip(next((filled / "cache").glob("*.part")), 0.6)
    reader = opened(filled, exact_rows=100)
    assert reader.search(ROWS[9], k=1) == before[:1]
    assert [one.lost for one in reader.verify(full=False)] == [0]
    assert reader.behind
    writer = opened(filled, writable=True, exact_rows=100)
    writer.settle()
    assert not writer.behind
    assert writer.verify(full=True) == ()
    assert writer.search(ROWS[9], k=5) == before
    shutil.rmtree(filled / "cache")
    assert opened(filled, exact_rows=100).search(ROWS[9], k=1) == before[:1]


def _reads(directory: Path, pipe: Connection) -> None:
    engine = opened(directory)
    seen = []
    while not pipe.poll():
        engine.refresh()
        seen.append(len(engine.search(ROWS[0], k=100)))
        if len(seen) == 1:
            pipe.send("ready")
    engine.refresh()
    pipe.send((sorted(set(seen)) == sorted(set(seen), key=seen.index), len(engine)))


def test_readers_in_other_processes_see_whole_commits_while_one_writes(filled: Path) -> None:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    reader = context.Process(target=_reads, args=(filled, there))
    reader.start()
    there.close()  # a reader that dies ends the wait
    assert here.recv() == "ready"
    writer = opened(filled, writable=True)
    for number in range(12):
        writer.add([page_id("new", number + 1)], [ROWS[number]])
    here.send("stop")
    assert here.recv() == (True, 52)
    reader.join()
    assert reader.exitcode == 0


def test_what_is_added_to_a_large_store_is_found_at_once_and_only_a_part_is_written(tmp_path: Path) -> None:
    engine = opened(tmp_path, writable=True, exact_rows=160)
    engine.add(PAGES[:32], ROWS[:32])
    engine.settle()
    before = {path.name: path.stat().st_ino for path in (tmp_path / "cache").glob("*.part")}
    assert len(before) == 1
    engine.add(PAGES[32:], ROWS[32:])
    assert engine.search(ROWS[35], k=1)[0].page == PAGES[35]
    engine.settle()
    after = {path.name: path.stat().st_ino for path in (tmp_path / "cache").glob("*.part")}
    assert len(after) == 2
    assert before.items() <= after.items()
    reader = opened(tmp_path, exact_rows=160)
    assert reader.search(ROWS[35], k=5) == engine.search(ROWS[35], k=5)
    engine.close()


def test_short_questions_over_short_pages_have_more_pages_scored() -> None:
    options = EngineOptions(candidates=400, products=400 * 700 * 24)
    assert effort.scored(10, options, tokens=24, rows=700) == 400
    assert effort.scored(10, options, tokens=200, rows=1000) == 400
    assert effort.scored(10, options, tokens=12, rows=400) == 3 * 400
    assert effort.scored(10, options, tokens=12, rows=700) == 2 * 400
    assert effort.scored(10, options, tokens=1, rows=97) == 3 * 400
    assert effort.scored(10, options, tokens=1, rows=96) == 400
    assert effort.scored(500, options, tokens=24, rows=700) == 4 * 500


@pytest.mark.parametrize("exact_rows", [10_000, 100])
def test_queries_of_several_lengths_asked_together_have_the_answers_that_each_has_alone(
    filled: Path, exact_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retrieve.first_stage.AT_ONCE", 5)  # several calls for some of several depths
    for name, value in {"DEPTH": 4, "HITS": 48, "DEPTH_SHARE": 1, "COMPARED": (20, 30)}.items():
        monkeypatch.setattr(f"retrieve.effort.{name}", value)
    engine = opened(filled, writable=True, exact_rows=exact_rows)
    engine.settle()
    asked = [vectors(1 + number % 7, 100 + number) for number in range(70)]
    for within in (None, frozenset({"doc1", "doc3", "doc4"}), frozenset({"nothing"})):
        together = engine.search_many(asked, k=4, within=within)
        assert together == [engine.search(own, k=4, within=within) for own in asked]
    assert engine.search_many([], k=4) == []
    engine.close()


def test_a_filter_that_is_asked_for_again_sees_what_was_added_and_removed(filled: Path) -> None:
    engine = opened(filled, writable=True, exact_rows=50)
    engine.settle()
    within = frozenset({"doc1", "doc3", "new"})
    pages = {page for page in PAGES if page.startswith(("doc1/", "doc3/"))}
    for _ in range(2):
        assert {hit.page for hit in engine.search(ROWS[6], k=40, within=within)} == pages
    engine.remove([PAGES[6]])
    engine.add([page_id("new", 1)], [ROWS[6]])
    found = [hit.page for hit in engine.search(ROWS[6], k=40, within=frozenset(within))]
    assert found[0] == page_id("new", 1)
    assert set(found) == pages - {PAGES[6]} | {page_id("new", 1)}
    engine.close()


def test_a_closed_engine_holds_no_first_stage(filled: Path) -> None:
    engine = opened(filled, writable=True, exact_rows=100)
    engine.settle()
    engine.search(ROWS[9], k=5)
    first = weakref.ref(engine._cache._first)
    gc.disable()  # what is closed must not wait for the next round of it
    try:
        engine.close()
        assert first() is None
    finally:
        gc.enable()


def test_a_reader_takes_up_only_the_parts_that_are_new(tmp_path: Path) -> None:
    engine = opened(tmp_path, writable=True, exact_rows=160)
    engine.add(PAGES[:32], ROWS[:32])
    engine.settle()
    reader = opened(tmp_path, exact_rows=160)
    engine.add(PAGES[32:], ROWS[32:])
    engine.settle()
    next(iter(sorted((tmp_path / "cache").glob("*.part")))).write_bytes(b"never read again")
    assert reader.refresh()
    assert reader.search(ROWS[35], k=5) == engine.search(ROWS[35], k=5)
    engine.close()


def test_a_first_stage_that_cannot_be_built_is_warned_of_and_searches_stay_exact(
    filled: Path, caplog: pytest.LogCaptureFixture
) -> None:
    flip(segments(filled)[0], 0.3)
    with caplog.at_level(logging.WARNING):
        writer = opened(filled, writable=True, exact_rows=100)
        writer.settle()
    assert "not tidied up: the stored vectors of doc" in caplog.text
    assert not list((filled / "cache").glob("*.json"))
    writer.rebuild()
    assert list((filled / "cache").glob("*.json"))
    writer.close()


BUILDS = """
import sys
from pathlib import Path
import numpy as np
import torch
from domain.page import page_id
from retrieve.encoder import Vectors
from retrieve.engine import Engine
from retrieve.engine_options import EngineOptions
from tests.retrieve.test_engine import MADE_BY

torch.set_num_threads(2)  # as models leave it
rows = np.random.default_rng(0).normal(size=(1000, 80, 128)).astype(np.float32)
rows /= np.linalg.norm(rows, axis=2, keepdims=True)
options = EngineOptions(exact_rows=1000)
engine = Engine.open(Path(sys.argv[1]), fingerprint=MADE_BY, dim=128, options=options, writable=True)
engine.add([page_id("d", n + 1) for n in range(1000)], [Vectors(own) for own in rows])
engine.settle()
assert not engine.behind
engine.rebuild()
assert not engine.behind
engine.close()
"""


def test_a_first_stage_is_built_where_openmp_may_start_one_thread_only(tmp_path: Path) -> None:
    environment = {**os.environ, "OMP_THREAD_LIMIT": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run(
        [sys.executable, "-c", BUILDS, str(tmp_path / "engine")], env=environment, check=True, timeout=120
    )
