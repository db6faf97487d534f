"""What a store held after one commit: readers keep it while others write."""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from domain.errors import StoreError
from domain.page import PageId
from retrieve.manifest import Manifest
from retrieve.segment import PageRecord, Segment

SCOPES = 8
"""Sets of documents whose pages are remembered: the collections and filters that are searched again and again."""


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

    Pages are told by their positions, oldest first. Names stay in the segments, which outlive commits: a commit to
    a million pages costs what it adds and a few arrays.

    Attributes:
        uids: (pages,) ascending.
        places: (pages, 2) segment and ordinal of each.
        lengths: (pages,) how many vectors each has.
        damage: segments that could not be opened.
    """

    manifest: Manifest
    segments: tuple[Segment, ...]
    uids: NDArray[np.int64]
    places: NDArray[np.int64]
    lengths: NDArray[np.int64]
    damage: tuple[Damage, ...]

    def __len__(self) -> int:
        """How many pages it holds."""
        return len(self.uids)

    @cached_property
    def everything(self) -> NDArray[np.int64]:
        """Every position."""
        return np.arange(len(self))

    @cached_property
    def pages(self) -> frozenset[PageId]:
        """Every page."""
        return frozenset(self.segments[number].pages[ordinal] for number, ordinal in self.places.tolist())

    def name(self, at: int) -> PageId:
        """The page at a position."""
        number, ordinal = (int(one) for one in self.places[at])
        return self.segments[number].pages[ordinal]

    def held(self, pages: AbstractSet[PageId]) -> dict[PageId, int]:
        """Those of these pages that it holds, and their positions."""
        found: dict[PageId, int] = {}
        for segment in self.segments:
            mine = [(page, segment.ordinals[page]) for page in segment.ordinals.keys() & pages]
            if mine:
                at, alive = _positions(self.uids, segment, [ordinal for _, ordinal in mine])
                found |= {mine[own][0]: int(at[own]) for own in np.flatnonzero(alive)}
        return found

    def of(self, documents: frozenset[str]) -> NDArray[np.int64]:
        """The positions of these documents' pages, ascending; the same array when it is asked for again soon."""
        return self._scopes(documents)

    @cached_property
    def _scopes(self) -> Callable[[frozenset[str]], NDArray[np.int64]]:
        # bound to the arrays and not to this snapshot, which would then outlive its last reader
        return lru_cache(maxsize=SCOPES)(partial(_of, self.uids, self.segments))

    def rows(self, positions: NDArray[np.int64]) -> int:
        """How many vectors these pages have together."""
        return int((self.lengths if positions is self.everything else self.lengths[positions]).sum())

    def record(self, at: int) -> PageRecord:
        """The vectors of the page at a position."""
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


def _of(uids: NDArray[np.int64], segments: Sequence[Segment], documents: frozenset[str]) -> NDArray[np.int64]:
    found = [np.zeros(0, dtype=np.int64)]
    for segment in segments:
        mine = [segment.documents[doc] for doc in segment.documents.keys() & documents]
        if mine:
            at, alive = _positions(uids, segment, list(chain.from_iterable(mine)))
            found.append(at[alive])
    positions = np.sort(np.concatenate(found))
    positions.setflags(write=False)
    return positions


def _positions(
    uids: NDArray[np.int64], segment: Segment, ordinals: Sequence[int]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Where pages of a segment stand among all, and which of them stand there at all: others were removed."""
    own = segment.uids[ordinals]
    at = np.searchsorted(uids, own)
    alive = at < len(uids)
    alive[alive] = uids[at[alive]] == own[alive]
    return at, alive


def by_name(snapshot: Snapshot) -> dict[str, Segment]:
    """The open segments by the names of their files."""
    return {segment.path.name: segment for segment in snapshot.segments}


def loaded(directory: Path, manifest: Manifest, known: Mapping[str, Segment]) -> Snapshot:
    """Open the segments of a manifest; those of `known` are open already. Damaged ones are listed, not raised."""
    segments: list[Segment] = []
    damage: list[Damage] = []
    none = np.zeros(0, dtype=np.int64)
    uids, numbers, ordinals, lengths = [none], [none], [none], [none]
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
        numbers.append(np.full_like(alive, len(segments)))
        ordinals.append(alive)
        lengths.append(np.diff(segment.bounds)[alive])
        segments.append(segment)
    unsorted = np.concatenate(uids)
    order = np.argsort(unsorted, kind="stable")
    places = np.stack([np.concatenate(numbers), np.concatenate(ordinals)], axis=1)
    counts = np.concatenate(lengths)[order]
    return Snapshot(manifest, tuple(segments), unsorted[order], places[order], counts, tuple(damage))
