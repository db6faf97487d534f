"""The store of page vectors: immutable segments, a manifest written last, one writer and many readers."""

import logging
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from domain.errors import BusyError, StoreError
from domain.fingerprint import Fingerprint
from domain.page import PageId
from retrieve.files import sync_directory
from retrieve.manifest import NAMES, Manifest, SegmentEntry, read_manifest, write_manifest
from retrieve.maxsim import Kind
from retrieve.segment import PageRecord, write_segment
from retrieve.snapshot import Damage, by_name, loaded

log = logging.getLogger(__name__)

FAN = 8
"""So many segments of about one size become one."""
LARGEST = 4096
"""Pages above which a segment is merged no more: rewriting it would cost more than it saves."""


class TokenStore:
    """Page vectors on disk. The manifest is the commit: what it does not name does not exist."""

    def __init__(
        self, directory: Path, *, fingerprint: Fingerprint, dim: int, writable: bool, stored: Kind = "int8"
    ) -> None:
        """Open, or create when absent and writable; `stored` says in which numbers a new one keeps vectors.

        Raises:
            StoreError: absent and not writable, made by another encoder, or without a readable manifest.
            BusyError: writable, and another process writes here.
        """
        self.directory = directory
        self.writable = writable
        self._mutex = threading.RLock()
        self._merging = threading.RLock()
        self._reserved = 0
        self._lock = FileLock(directory / "writer.lock", timeout=0)
        if writable:
            self._claim()
        try:
            manifest = read_manifest(directory)
            if manifest is None:
                manifest = self._created(Manifest(fingerprint, dim, stored))
            _refuse_foreign(directory, manifest, fingerprint, dim)
            self._stamp = self._stamped()
            self.snapshot = loaded(directory, manifest, {})
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
            held = self.snapshot.held({page for page, _ in records})
            if not held and all(record is None for _, record in records):
                return
            manifest = self._without(list(held.values()))
            kept = [
                replace(record, uid=manifest.next_uid + number)
                for number, record in enumerate(record for _, record in records if record is not None)
            ]
            if kept:
                manifest = self._appended(manifest, kept)
            self._commit(manifest)

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
                snapshot = loaded(self.directory, manifest, by_name(self.snapshot))
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
            ordinals = snapshot.places[snapshot.places[:, 0] == number, 1]
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
        with self._merging:
            self._writing()
            entries = self.snapshot.manifest.segments
            stale = [entry for entry in entries if entry.dead or entry.pages < LARGEST // FAN]
            if len(stale) > 1 or any(entry.dead for entry in stale):
                self._rewrite(stale)

    def merge(self) -> None:
        """Join small segments of about one size. Pages may be searched, added and removed meanwhile.

        Raises:
            StoreError: a page that would be copied is damaged.
        """
        with self._merging:
            self._writing()
            while True:
                tiers: dict[int, list[SegmentEntry]] = {}
                for entry in self.snapshot.manifest.segments:
                    if entry.pages < LARGEST:
                        tiers.setdefault(entry.pages.bit_length() // 3, []).append(entry)
                full = [entries for entries in tiers.values() if len(entries) >= FAN]
                if not full:
                    return
                sizes = np.cumsum([entry.pages for entry in full[0]])
                self._rewrite(full[0][: max(FAN, int(np.searchsorted(sizes, LARGEST)) + 1)])

    def close(self) -> None:
        """Let another process write."""
        self._lock.release()

    def _claim(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire()
        except Timeout:
            raise BusyError(f"another process writes to {self.directory}; wait for it or stop it") from None

    def _created(self, manifest: Manifest) -> Manifest:
        if not self.writable:
            raise StoreError(f"no vectors in {self.directory}; index something first")
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

    def _without(self, positions: Sequence[int]) -> Manifest:
        snapshot = self.snapshot
        places = snapshot.places[positions]
        changed = {
            snapshot.segments[number].path.name: places[places[:, 0] == number, 1]
            for number in np.unique(places[:, 0]).tolist()
        }
        segments = []
        for entry in snapshot.manifest.segments:
            removed = entry.removed
            removed[changed.get(entry.name, [])] = True
            segments.append(entry.removing(removed) if entry.name in changed else entry)
        return replace(snapshot.manifest, segments=tuple(segments))

    def _appended(self, manifest: Manifest, records: Sequence[PageRecord]) -> Manifest:
        entry = self._written(records)
        return replace(
            manifest,
            segments=(*manifest.segments, entry),
            next_segment=max(manifest.next_segment, self._reserved + 1),
            next_uid=max(manifest.next_uid, max(record.uid for record in records) + 1),
        )

    def _written(self, records: Sequence[PageRecord]) -> SegmentEntry:
        with self._mutex:
            manifest = self.snapshot.manifest
            self._reserved = max(self._reserved + 1, manifest.next_segment)
            name = f"{self._reserved:08d}.tokens"
        write_segment(self.directory / name, records, dim=manifest.dim, kind=manifest.stored)
        return SegmentEntry(name, len(records))

    def _commit(self, manifest: Manifest) -> None:
        before = {entry.name for entry in self.snapshot.manifest.segments}
        kept = tuple(entry for entry in manifest.segments if not entry.dead or not entry.removed.all())
        manifest = replace(manifest, commit=manifest.commit + 1, segments=kept)
        write_manifest(self.directory, manifest)
        self._stamp = self._stamped()
        self.snapshot = loaded(self.directory, manifest, by_name(self.snapshot))
        gone = before - {entry.name for entry in kept}
        for name in gone:
            (self.directory / name).unlink(missing_ok=True)
        if gone:
            sync_directory(self.directory)

    def _sweep(self) -> None:
        """Delete what a crash left behind; only before anything else is written."""
        named = {entry.name for entry in self.snapshot.manifest.segments}
        left = [path for path in self.directory.glob("*.tokens") if path.name not in named]
        left += self.directory.glob(".tmp-*")
        for path in left:
            path.unlink(missing_ok=True)
        if left:
            sync_directory(self.directory)

    def _rewrite(self, entries: Sequence[SegmentEntry]) -> None:
        snapshot = self.snapshot
        chosen = {entry.name for entry in entries}
        numbers = [n for n, segment in enumerate(snapshot.segments) if segment.path.name in chosen]
        positions = np.flatnonzero(np.isin(snapshot.places[:, 0], numbers))
        snapshot.check(positions)
        # the copy is made while others write: only the commit takes their turn
        joined = self._written([snapshot.record(int(at)) for at in positions]) if len(positions) else None
        with self._mutex:
            manifest = self.snapshot.manifest
            kept = tuple(entry for entry in manifest.segments if entry.name not in chosen)
            if joined is not None:
                removed = ~np.isin(snapshot.uids[positions], self.snapshot.uids)
                kept = (*kept, joined.removing(removed))
                manifest = replace(manifest, next_segment=max(manifest.next_segment, self._reserved + 1))
            self._commit(replace(manifest, segments=kept))

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
