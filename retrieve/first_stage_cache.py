"""Keeps the first stage of a store fresh: built when the store outgrows an exact scan, extended, rebuilt."""

import logging
import threading
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from domain.errors import StoreError
from retrieve.encoder import Floats, Vectors
from retrieve.first_stage import STAMP, FirstStage
from retrieve.maxsim import restored
from retrieve.snapshot import Damage, Snapshot
from retrieve.tokens import TokenStore

log = logging.getLogger(__name__)

GROWTH = 4
"""The first stage is trained anew when the store has so many times the pages that it was trained on."""
STALE = 0.3
"""The share of removed pages from which on the first stage is built anew."""


class FirstStageCache:
    """The first stage of a token store, in memory and on disk. Without it every search is exact, and slower."""

    def __init__(self, store: TokenStore, *, pooled: int, exact_rows: int) -> None:
        """Load what is there; damaged or stale files are built again by a writer and passed over by a reader."""
        self._store = store
        self._pooled = pooled
        self._exact_rows = exact_rows
        self._mutex = threading.Lock()
        self._stamp: tuple[int, int] | None = None
        self._first: FirstStage | None = None
        self.refresh()

    @property
    def directory(self) -> Path:
        """Where its files are."""
        return self._store.directory / "cache"

    def candidates(
        self, snapshot: Snapshot, query: Vectors, positions: NDArray[np.int64], wanted: int
    ) -> NDArray[np.int64]:
        """Which of these positions are worth an exact look: the best by pooled vectors, and every unknown one."""
        first = self._first
        if first is None:
            return positions
        living = snapshot.uids[positions]
        known = int(np.searchsorted(living, first.covered, side="right"))
        chosen = first.candidates(query, wanted=wanted, living=living[:known])
        return np.union1d(positions[np.searchsorted(living, chosen)], positions[known:])

    def refresh(self) -> None:
        """Load the files when they changed."""
        stamp = self._stamped()
        if stamp is None or stamp == self._stamp:
            return
        dim = self._store.snapshot.manifest.dim
        try:
            self._first = FirstStage.load(self.directory, dim=dim, count=self._pooled)
        except StoreError as error:
            log.warning("%s; searches are exact until it is built again", error)
            self._first = None
        self._stamp = stamp

    def maintain(self) -> None:
        """Build, extend or drop the first stage as the store's size asks for; only for the writer."""
        with self._mutex:
            snapshot = self._store.snapshot
            if int(snapshot.lengths.sum()) <= self._exact_rows:
                return
            first = self._first
            if first is None or self._outgrown(first, snapshot):
                self._build(snapshot)
                return
            start = int(np.searchsorted(snapshot.uids, first.covered, side="right"))
            if int(snapshot.lengths[start:].sum()) > self._exact_rows // 2:
                first.extend(snapshot.uids[start:], lambda at: _rows(snapshot, start + at))
                self._save(first)

    def rebuild(self) -> None:
        """Build the first stage from the store, whatever is there."""
        with self._mutex:
            self._first = None
            for path in self.directory.glob("*"):
                path.unlink()
            self._stamp = None
        self.maintain()

    def verify(self) -> tuple[Damage, ...]:
        """What is wrong with its files; nothing is lost with them."""
        if self._stamped() is None:
            return ()
        try:
            FirstStage.load(self.directory, dim=self._store.snapshot.manifest.dim, count=self._pooled)
        except StoreError as error:
            return (Damage(self.directory, str(error)),)
        return ()

    def disk_bytes(self) -> int:
        """Bytes of its files."""
        return sum(path.stat().st_size for path in self.directory.glob("*"))

    def memory_bytes(self) -> int:
        """Bytes of memory that it takes."""
        return self._first.bytes if self._first else 0

    def _outgrown(self, first: FirstStage, snapshot: Snapshot) -> bool:
        living = int(np.searchsorted(snapshot.uids, first.covered, side="right"))
        removed = 1 - living / max(len(first.table.pages), 1)
        return len(snapshot.uids) > GROWTH * max(first.trained, 1) or removed > STALE

    def _build(self, snapshot: Snapshot) -> None:
        log.info("building the first stage over %d pages", len(snapshot.names))
        first = FirstStage.build(
            snapshot.uids,
            lambda at: _rows(snapshot, at),
            dim=snapshot.manifest.dim,
            count=self._pooled,
        )
        self._save(first)

    def _save(self, first: FirstStage) -> None:
        first.save(self.directory)
        self._first, self._stamp = first, self._stamped()

    def _stamped(self) -> tuple[int, int] | None:
        try:
            stat = (self.directory / STAMP).stat()
        except FileNotFoundError:
            return None
        return (stat.st_mtime_ns, stat.st_ino)


def _rows(snapshot: Snapshot, at: int) -> Floats:
    snapshot.check([at])
    record = snapshot.record(at)
    return restored(record.codes, record.scales)
