"""Keeps the first stage of a store fresh: built when the store outgrows an exact scan, extended, rebuilt."""

import logging
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from domain.errors import StoreError
from retrieve.encoder import Floats
from retrieve.first_stage import FirstStage, Room, no_room
from retrieve.first_stage_files import (
    STAMP,
    Stamp,
    joined,
    load,
    read_part,
    read_stamp,
    take_more,
    write_cells,
    write_part,
    write_stamp,
)
from retrieve.maxsim import Scorer, restored
from retrieve.parts import Alive
from retrieve.snapshot import SCOPES, Damage, Snapshot
from retrieve.tokens import TokenStore

log = logging.getLogger(__name__)

GROWTH = 4
"""The first stage is trained anew when the store has so many times the pages that it was trained on."""
STALE = 0.3
"""The share of removed pages from which on the first stage is built anew."""
NEW = 8
"""Pages are taken in when their vectors exceed this part of what is compared exactly anyway."""
CHUNK = 16384
"""Pages pooled before they are written: memory stays flat while a large store is taken in."""


class FirstStageCache:
    """The first stage of a token store, in memory and on disk. Without it every search is exact, and slower."""

    def __init__(
        self,
        store: TokenStore,
        *,
        pooled: int,
        exact_rows: int,
        room: Room = no_room,
    ) -> None:
        """Load what is there; damaged or stale files are built again by a writer and passed over by a reader.

        Args:
            store: the vectors.
            pooled: vectors a page, at most.
            exact_rows: so many vectors are compared without a first stage.
            room: gives the place on a device for pooled vectors; it is asked when a search needs it.
        """
        self._store = store
        self._pooled = pooled
        self._exact_rows = exact_rows
        self._room = room
        self._mutex = threading.Lock()
        self._stamp: Stamp | None = None
        self._seen: tuple[int, int] | None = None
        self._first: FirstStage | None = None
        self._alive: tuple[tuple[NDArray[np.int64], Alive], ...] = ()
        self.refresh()

    @property
    def directory(self) -> Path:
        """Where its files are."""
        return self._store.directory / "cache"

    def candidates(
        self,
        snapshot: Snapshot,
        scorers: Sequence[Scorer],
        positions: NDArray[np.int64],
        wanted: Sequence[int],
    ) -> list[NDArray[np.int64]]:
        """For each query the positions worth an exact look: the best `wanted` by pooled vectors, and unknown ones."""
        first = self._first
        if first is None:
            return [positions] * len(scorers)
        alive = self._alive_at(snapshot, positions, first)
        newer = np.searchsorted(snapshot.uids, alive.covered, side="right")
        unknown = positions[np.searchsorted(positions, newer) :]
        return [
            np.union1d(np.searchsorted(snapshot.uids, chosen), unknown)
            for chosen in first.candidates(scorers, wanted=wanted, alive=alive)
        ]

    def refresh(self) -> None:
        """Load what changed on disk."""
        seen = self._stamped()
        if seen is None or seen == self._seen:
            return
        dim = self._store.snapshot.manifest.dim
        try:
            stamp = read_stamp(self.directory, count=self._pooled)
            known = self._stamp.parts if self._stamp else ()
            if self._first and known and known == stamp.parts[: len(known)]:
                take_more(self._first, self.directory, stamp.parts[len(known) :], dim=dim)
            else:
                self._first = load(self.directory, stamp, dim=dim)
                self._first.room = self._room
            self._stamp = stamp
        except StoreError as error:
            log.warning("%s; searches are exact until it is built again", error)
            self._first = self._stamp = None
        self._seen = seen

    def maintain(self) -> None:
        """Build or extend the first stage as the store's size asks for; only for the writer.

        Searches go on meanwhile: what is not taken in yet is compared exactly.

        Raises:
            StoreError: a page that would be taken in is damaged.
        """
        with self._mutex:
            snapshot, first = self._store.snapshot, self._first
            if not self._wanting(snapshot, first):
                return
            if first is None or self._stamp is None or self._outgrown(first, snapshot):
                self._build(snapshot)
                return
            self._extend(first, self._stamp, snapshot, _beyond(first, snapshot))

    @property
    def behind(self) -> bool:
        """Whether `maintain` has pages to take in."""
        return self._wanting(self._store.snapshot, self._first)

    def discard(self) -> None:
        """Delete what is there; `maintain` builds it again from the store."""
        with self._mutex:
            self._first = self._stamp = self._seen = None
            for path in self.directory.glob("*"):
                path.unlink()

    def close(self) -> None:
        """Let go of the first stage, which may hold gigabytes, whoever still holds this."""
        self._first, self._alive = None, ()

    def verify(self) -> tuple[Damage, ...]:
        """What is wrong with its files; nothing is lost with them."""
        if self._stamped() is None:
            return ()
        try:
            stamp = read_stamp(self.directory, count=self._pooled)
            load(self.directory, stamp, dim=self._store.snapshot.manifest.dim)
        except StoreError as error:
            return (Damage(self.directory, str(error)),)
        return ()

    def disk_bytes(self) -> int:
        """Bytes of its files."""
        return sum(path.stat().st_size for path in self.directory.glob("*"))

    def memory_bytes(self) -> int:
        """Bytes of memory that it takes."""
        return self._first.bytes if self._first else 0

    def _alive_at(self, snapshot: Snapshot, positions: NDArray[np.int64], first: FirstStage) -> Alive:
        """Which pages stand at these positions; remembered as long as a snapshot gives the same array."""
        kept = tuple(pair for pair in self._alive if first.shows(pair[1]))
        for before, alive in kept:
            if before is positions:
                return alive
        alive = first.alive(snapshot.uids[positions])
        self._alive = ((positions, alive), *kept[: SCOPES - 1])
        return alive

    def _wanting(self, snapshot: Snapshot, first: FirstStage | None) -> bool:
        if int(snapshot.lengths.sum()) <= self._exact_rows:
            return False
        if first is None or self._outgrown(first, snapshot):
            return True
        return int(snapshot.lengths[_beyond(first, snapshot) :].sum()) > self._exact_rows // NEW

    def _outgrown(self, first: FirstStage, snapshot: Snapshot) -> bool:
        living = int(np.searchsorted(snapshot.uids, first.covered, side="right"))
        removed = 1 - living / max(len(first.pages), 1)
        return len(snapshot.uids) > GROWTH * max(first.trained, 1) or removed > STALE

    def _build(self, snapshot: Snapshot) -> None:
        log.info("building the first stage over %d pages", len(snapshot))
        first = FirstStage.fitted(
            snapshot.uids,
            lambda at: _rows(snapshot, at),
            dim=snapshot.manifest.dim,
            count=self._pooled,
            lengths=snapshot.lengths,
        )
        first.room = self._room
        number = self._stamp.next_part if self._stamp else 1
        cells = write_cells(self.directory, first.template, number)
        self._extend(first, Stamp(self._pooled, first.trained, cells, number + 1), snapshot, 0)

    def _extend(self, first: FirstStage, stamp: Stamp, snapshot: Snapshot, start: int) -> None:
        dim = snapshot.manifest.dim
        for begin in range(start, len(snapshot.uids), CHUNK):
            uids = snapshot.uids[begin : begin + CHUNK]
            part = first.part(uids, lambda at, begin=begin: _rows(snapshot, begin + at))  # type: ignore[misc]  # binds begin
            entry = write_part(self.directory, [part], part.index, stamp.next_part)
            first.take(read_part(self.directory, entry, dim))
            stamp = stamp.adding(entry)
        stamp = joined(first, self.directory, stamp, dim=dim)
        write_stamp(self.directory, stamp)
        self._first, self._stamp, self._seen = first, stamp, self._stamped()

    def _stamped(self) -> tuple[int, int] | None:
        try:
            stat = (self.directory / STAMP).stat()
        except FileNotFoundError:
            return None
        return (stat.st_mtime_ns, stat.st_ino)


def _beyond(first: FirstStage, snapshot: Snapshot) -> int:
    """The position of the first page that is newer than what is known."""
    return int(np.searchsorted(snapshot.uids, first.covered, side="right"))


def _rows(snapshot: Snapshot, at: int) -> Floats:
    snapshot.check([at])
    record = snapshot.record(at)
    return restored(record.codes, record.scales)
