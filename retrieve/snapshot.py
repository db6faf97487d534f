"""What a store held after one commit: readers keep it while others write."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from domain.errors import StoreError
from domain.page import PageId, document_of
from retrieve.manifest import Manifest
from retrieve.segment import PageRecord, Segment


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
    def everything(self) -> NDArray[np.int64]:
        """Every position of `names`."""
        return np.arange(len(self.names))

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

    def rows(self, positions: NDArray[np.int64]) -> int:
        """How many vectors these pages have together."""
        return int((self.lengths if positions is self.everything else self.lengths[positions]).sum())

    def record(self, at: int) -> PageRecord:
        """The vectors of the page at a position of `names`."""
        place = self.places[at]
        return self.segments[int(place[0])].record(int(place[1]))

    def check(self, positions: Sequence[int] | NDArray[np.int64]) -> None:
        """Refuse pages whose vectors differ from their checksum.

        Raises:
            StoreError: names the pages and the remedy.
        """
        bad: list[PageId] = []
        where = self.places[positions]
        for number in np.unique(where[:, 0]).tolist():
            segment = self.segments[number]
            damaged = segment.damaged(where[where[:, 0] == number, 1])
            bad.extend(segment.pages[ordinal] for ordinal in damaged)
        if bad:
            raise StoreError(
                f"the stored vectors of {', '.join(bad[:5])}{' ...' if len(bad) > 5 else ''} are damaged; "
                "run `recto verify --repair`"
            )


def by_name(snapshot: Snapshot) -> dict[str, Segment]:
    """The open segments by the names of their files."""
    return {segment.path.name: segment for segment in snapshot.segments}


def loaded(directory: Path, manifest: Manifest, known: Mapping[str, Segment]) -> Snapshot:
    """Open the segments of a manifest; those of `known` are open already. Damaged ones are listed, not raised."""
    segments: list[Segment] = []
    damage: list[Damage] = []
    uids: list[NDArray[np.int64]] = [np.zeros(0, dtype=np.int64)]
    places: list[NDArray[np.int64]] = [np.zeros((0, 2), dtype=np.int64)]
    for entry in manifest.segments:
        try:
            segment = known.get(entry.name) or Segment(
                directory / entry.name, dim=manifest.dim, kind=manifest.stored
            )
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
