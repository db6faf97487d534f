"""The store of page vectors: immutable segments, a manifest written last, one writer and many readers."""

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from domain.errors import BusyError, StoreError
from domain.fingerprint import Fingerprint
from domain.page import PageId, document_of
from retrieve.files import sync_directory
from retrieve.manifest import NAMES, Manifest, SegmentEntry, read_manifest, write_manifest
from retrieve.segment import PageRecord, Segment, write_segment

log = logging.getLogger(__name__)

FAN = 8
"""So many segments of about one size become one."""
LARGEST = 4096
"""Pages above which a segment is merged no more: rewriting it would cost more than it saves."""


@dataclass(frozen=True, slots=True)
class Damage:
    """A file, or pages in it, that cannot be trusted.

    Attributes:
        pages: the pages whose vectors are lost, as far as the file still names them.
        lost: how many pages are lost; 0 where the file is a cache and can be rebuilt.
    """

    file: Path
    reason: str
    pages: tuple[PageId, ...] = ()
    lost: int = 0


@dataclass(frozen=True)
class Snapshot:
    """What a store held after one commit; it stays readable while others write.

    Attributes:
        uids: (pages,) ascending; `places`: (pages, 2) segment and ordinal of each.
        names: the page ids, in the same order.
        damage: segments that could not be opened.
    """

    manifest: Manifest
    segments: tuple[Segment, ...]
    uids: NDArray[np.int64]
    places: NDArray[np.int64]
    names: tuple[PageId, ...]
    damage: tuple[Damage, ...]

    @cached_property
    def position(self) -> dict[PageId, int]:
        """Where each page stands in `names`."""
        return {page: at for at, page in enumerate(self.names)}

    @cached_property
    def documents(self) -> dict[str, list[int]]:
        """Where the pages of each document stand in `names`."""
        found: dict[str, list[int]] = {}
        for at, page in enumerate(self.names):
            found.setdefault(document_of(page), []).append(at)
        return found

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """How many vectors each page has, (pages,)."""
        counts = np.zeros(len(self.names), dtype=np.int64)
        for number, segment in enumerate(self.segments):
            mine = self.places[:, 0] == number
            counts[mine] = np.diff(segment.bounds)[self.places[mine, 1]]
        return counts

    def record(self, at: int) -> PageRecord:
        """The vectors of the page at a position of `names`."""
        place = self.places[at]
        return self.segments[int(place[0])].record(int(place[1]))

    def check(self, positions: Sequence[int] | NDArray[np.int64]) -> None:
        """Refuse pages whose vectors differ from their checksum.

        Raises:
            StoreError: names the pages and the remedy.
        """
        bad = [
            self.names[at]
            for at in positions
            if self.segments[self.places[at, 0]].damaged((int(self.places[at, 1]),))
        ]
        if bad:
            raise StoreError(
                f"the stored vectors of {', '.join(bad[:5])}{' ...' if len(bad) > 5 else ''} are damaged; "
                "run `recto verify --repair`"
            )


class TokenStore:
    """Page vectors on disk. The manifest is the commit: what it does not name does not exist."""

    def __init__(self, directory: Path, *, fingerprint: Fingerprint, dim: int, writable: bool) -> None:
        """Open, or create when absent and writable.

        Raises:
            StoreError: absent and not writable, made by another encoder, or without a readable manifest.
            BusyError: writable, and another process writes here.
        """
        self.directory = directory
        self.writable = writable
        self._mutex = threading.RLock()
        self._lock = FileLock(directory / "writer.lock", timeout=0)
        if writable:
            self._claim()
        try:
            manifest = read_manifest(directory)
            if manifest is None:
                manifest = self._created(fingerprint, dim)
            _refuse_foreign(directory, manifest, fingerprint, dim)
            self._stamp = self._stamped()
            self.snapshot = _loaded(directory, manifest, {})
            if writable:
                self._forget_damage()
        except BaseException:
            self._lock.release()
            raise

    def add(self, records: Sequence[tuple[PageId, PageRecord | None]]) -> None:
        """Add or replace pages; None removes. Durable on return.

        Raises:
            StoreError: opened for reading.
        """
        with self._mutex:
            self._writing()
            if not any(record is not None or page in self.snapshot.position for page, record in records):
                return
            manifest = self._without({page for page, _ in records})
            kept = [
                replace(record, uid=manifest.next_uid + number)
                for number, record in enumerate(record for _, record in records if record is not None)
            ]
            if kept:
                manifest = self._appended(manifest, kept)
            self._commit(manifest)
            self._merge()

    def remove(self, pages: Sequence[PageId]) -> None:
        """Forget pages; unknown ones are ignored. Durable on return."""
        self.add([(page, None) for page in pages])

    def refresh(self) -> bool:
        """Take up what another process committed; says whether anything changed."""
        with self._mutex:
            if self._stamped() == self._stamp:
                return False
            for attempt in range(3):
                stamp = self._stamped()
                manifest = read_manifest(self.directory)
                if manifest is None:
                    raise StoreError(f"the vectors in {self.directory} are gone; open the library again")
                snapshot = _loaded(self.directory, manifest, _by_name(self.snapshot))
                # a merge may remove files between the manifest and their opening: then look again
                if not snapshot.damage or self._stamped() == stamp or attempt == 2:
                    break
            self._stamp, self.snapshot = stamp, snapshot
            return True

    def verify(self) -> tuple[Damage, ...]:
        """Read every page and compare it with its checksum; nothing is changed."""
        snapshot = self.snapshot
        found = list(snapshot.damage)
        for number, segment in enumerate(snapshot.segments):
            ordinals = snapshot.places[snapshot.places[:, 0] == number, 1].tolist()
            bad = segment.damaged(ordinals, again=True)
            if bad:
                pages = tuple(segment.pages[at] for at in bad)
                found.append(Damage(segment.path, "vectors differ from their checksum", pages, len(pages)))
        return tuple(found)

    def drop_damaged(self) -> tuple[Damage, ...]:
        """Forget pages whose vectors are damaged, so that they can be embedded again; says which."""
        with self._mutex:
            self._writing()
            found = self.verify()
            self.remove([page for damage in found for page in damage.pages])
            return found

    def compact(self) -> None:
        """Rewrite small segments and those that hold removed pages: what was removed leaves the disk."""
        with self._mutex:
            self._writing()
            snapshot = self.snapshot
            stale = [
                entry for entry in snapshot.manifest.segments if entry.dead or entry.pages < LARGEST // FAN
            ]
            if len(stale) > 1 or any(entry.dead for entry in stale):
                self._rewrite(stale)

    def close(self) -> None:
        """Let another process write."""
        self._lock.release()

    def _claim(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire()
        except Timeout:
            raise BusyError(f"another process writes to {self.directory}; wait for it or stop it") from None

    def _created(self, fingerprint: Fingerprint, dim: int) -> Manifest:
        if not self.writable:
            raise StoreError(f"no vectors in {self.directory}; index something first")
        manifest = Manifest(fingerprint, dim)
        write_manifest(self.directory, manifest)
        return manifest

    def _stamped(self) -> tuple[int, int]:
        for name in NAMES:
            try:
                stat = (self.directory / name).stat()
            except FileNotFoundError:
                continue
            return (stat.st_mtime_ns, stat.st_ino)
        return (0, 0)

    def _writing(self) -> None:
        if not self.writable:
            raise StoreError(f"{self.directory} was opened for reading")

    def _without(self, pages: set[PageId]) -> Manifest:
        snapshot = self.snapshot
        places = [snapshot.places[at] for page in pages if (at := snapshot.position.get(page)) is not None]
        entries = {segment.path.name: number for number, segment in enumerate(snapshot.segments)}
        changed = []
        for entry in snapshot.manifest.segments:
            mine = [int(place[1]) for place in places if place[0] == entries.get(entry.name)]
            if mine:
                removed = entry.removed
                removed[mine] = True
                changed.append(entry.removing(removed))
            else:
                changed.append(entry)
        return replace(snapshot.manifest, segments=tuple(changed))

    def _appended(self, manifest: Manifest, records: Sequence[PageRecord]) -> Manifest:
        name = f"{manifest.next_segment:08d}.tokens"
        write_segment(self.directory / name, records, dim=manifest.dim)
        return replace(
            manifest,
            segments=(*manifest.segments, SegmentEntry(name, len(records))),
            next_segment=manifest.next_segment + 1,
            next_uid=max(manifest.next_uid, max(record.uid for record in records) + 1),
        )

    def _commit(self, manifest: Manifest) -> None:
        kept = tuple(entry for entry in manifest.segments if not entry.dead or not entry.removed.all())
        manifest = replace(manifest, commit=manifest.commit + 1, segments=kept)
        write_manifest(self.directory, manifest)
        self._stamp = self._stamped()
        self.snapshot = _loaded(self.directory, manifest, _by_name(self.snapshot))
        self._sweep()

    def _sweep(self) -> None:
        named = {entry.name for entry in self.snapshot.manifest.segments}
        left = [path for path in self.directory.glob("*.tokens") if path.name not in named]
        left += self.directory.glob(".tmp-*")
        for path in left:
            path.unlink(missing_ok=True)
        if left:
            sync_directory(self.directory)

    def _merge(self) -> None:
        while True:
            tiers: dict[int, list[SegmentEntry]] = {}
            for entry in self.snapshot.manifest.segments:
                if entry.pages < LARGEST:
                    tiers.setdefault(entry.pages.bit_length() // 3, []).append(entry)
            full = [entries for entries in tiers.values() if len(entries) >= FAN]
            if not full:
                return
            self._rewrite(full[0])

    def _rewrite(self, entries: Sequence[SegmentEntry]) -> None:
        snapshot = self.snapshot
        chosen = {entry.name for entry in entries}
        numbers = [n for n, segment in enumerate(snapshot.segments) if segment.path.name in chosen]
        positions = np.flatnonzero(np.isin(snapshot.places[:, 0], numbers))
        snapshot.check(positions)
        kept = tuple(entry for entry in snapshot.manifest.segments if entry.name not in chosen)
        manifest = replace(snapshot.manifest, segments=kept)
        if len(positions):
            manifest = self._appended(manifest, [snapshot.record(int(at)) for at in positions])
        self._commit(manifest)

    def _forget_damage(self) -> None:
        lost = {damage.file.name for damage in self.snapshot.damage}
        if lost:
            log.warning("%d segments of %s are damaged; their pages are forgotten", len(lost), self.directory)
            manifest = self.snapshot.manifest
            kept = tuple(entry for entry in manifest.segments if entry.name not in lost)
            damage = self.snapshot.damage
            self._commit(replace(manifest, segments=kept))
            self.forgotten: tuple[Damage, ...] = damage
        else:
            self.forgotten = ()
            self._sweep()


def _refuse_foreign(directory: Path, manifest: Manifest, fingerprint: Fingerprint, dim: int) -> None:
    if manifest.fingerprint != fingerprint or manifest.dim != dim:
        raise StoreError(
            f"the vectors in {directory} were made by {_named(manifest.fingerprint, manifest.dim)}, and the "
            f"encoder in use is {_named(fingerprint, dim)}; choose that encoder again, or index again with "
            "this one"
        )


def _named(fingerprint: Fingerprint, dim: int) -> str:
    return f"{fingerprint.model} (fingerprint {fingerprint.digest}, {dim} dimensions)"


def _by_name(snapshot: Snapshot) -> dict[str, Segment]:
    return {segment.path.name: segment for segment in snapshot.segments}


def _loaded(directory: Path, manifest: Manifest, known: dict[str, Segment]) -> Snapshot:
    segments: list[Segment] = []
    damage: list[Damage] = []
    uids: list[NDArray[np.int64]] = [np.zeros(0, dtype=np.int64)]
    places: list[NDArray[np.int64]] = [np.zeros((0, 2), dtype=np.int64)]
    for entry in manifest.segments:
        try:
            segment = known.get(entry.name) or Segment(directory / entry.name, dim=manifest.dim)
        except StoreError as error:
            lost = entry.pages - int(entry.removed.sum())
            damage.append(Damage(directory / entry.name, str(error), (), lost))
            continue
        alive = np.flatnonzero(~entry.removed)
        uids.append(segment.uids[alive])
        places.append(np.stack([np.full_like(alive, len(segments)), alive], axis=1))
        segments.append(segment)
    numbers, where = np.concatenate(uids), np.concatenate(places)
    order = np.argsort(numbers, kind="stable")
    names = tuple(segments[s].pages[o] for s, o in where[order].tolist())
    return Snapshot(manifest, tuple(segments), numbers[order], where[order], names, tuple(damage))
