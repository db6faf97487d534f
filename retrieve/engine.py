"""One generation of page vectors: the token store is the truth, candidates are a cache, scores are exact."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from domain.errors import StoreError, UsageError
from domain.fingerprint import Fingerprint
from domain.page import Hit, PageId
from domain.run import ranked
from retrieve import effort
from retrieve.encoder import Vectors
from retrieve.engine_options import EngineOptions
from retrieve.first_stage_cache import FirstStageCache
from retrieve.maxsim import Lot, Quantised, Scorer
from retrieve.pages_on_device import PagesOnDevice, hot_pages
from retrieve.segment import PageRecord
from retrieve.snapshot import Damage, Snapshot
from retrieve.tokens import TokenStore
from retrieve.upkeep import Upkeep

HOT_TOKENS = 7 / 8
"""The share of a device's memory for token vectors; the rest is for pooled ones."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much an engine holds and takes."""

    pages: int
    vectors: int
    disk_bytes: int
    memory_bytes: int


class Engine:
    """Searches page vectors, exactly scored. Safe to use from several threads; one process writes."""

    def __init__(self, store: TokenStore, options: EngineOptions) -> None:
        """Use `Engine.open` instead."""
        self._store = store
        self._options = options
        self._cache = FirstStageCache(
            store, pooled=options.pooled, exact_rows=options.exact_rows, room=lambda: self._hot_pooled
        )
        self._upkeep = Upkeep(self._tidy)
        if store.writable:
            self._upkeep.ask()

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        fingerprint: Fingerprint,
        dim: int,
        options: EngineOptions | None = None,
        writable: bool = False,
    ) -> "Engine":
        """Open a generation, or create it when absent and writable.

        Raises:
            StoreError: absent and not writable, or made by another encoder.
            BusyError: writable, and another process writes here.
        """
        options = options or EngineOptions()
        store = TokenStore(
            directory, fingerprint=fingerprint, dim=dim, writable=writable, stored=options.stored
        )
        return cls(store, options)

    @property
    def damaged(self) -> tuple[Damage, ...]:
        """What could not be opened: its pages are not held any more and must be embedded again."""
        return self._store.snapshot.damage + (self._store.forgotten if self._store.writable else ())

    def add(self, pages: Sequence[PageId], vectors: Sequence[Vectors]) -> None:
        """Add pages, or replace the vectors of pages that are there; durable on return.

        A page without rows is not held; one that was there is forgotten.

        Raises:
            UsageError: a page stands twice, or the vectors do not fit the engine.
        """
        if len(set(pages)) != len(pages) or len(pages) != len(vectors):
            raise UsageError("every page needs its own vectors once; check the batch")
        manifest = self._store.snapshot.manifest
        for page, own in zip(pages, vectors, strict=True):
            if own.rows.ndim != 2 or own.rows.shape[1] != manifest.dim:
                raise UsageError(
                    f"the vectors of page {page} have shape {own.rows.shape}, not (n, {manifest.dim})"
                )
        self._store.add([
            (page, PageRecord.of(page, 0, own, manifest.stored) if len(own.rows) else None)
            for page, own in zip(pages, vectors, strict=True)
        ])  # fmt: skip
        self._upkeep.ask()

    def remove(self, pages: Sequence[PageId]) -> None:
        """Forget pages; unknown ones are ignored; durable on return."""
        self._store.remove(pages)
        self._upkeep.ask()

    @property
    def behind(self) -> bool:
        """Whether the first stage lacks pages that are compared exactly meanwhile; closing a writer waits for it."""
        return self._cache.behind

    def settle(self) -> None:
        """Wait until small segments are joined and the first stage holds what was added; for the writer."""
        self._upkeep.ask()
        self._upkeep.wait()

    def search(self, query: Vectors, *, k: int, within: frozenset[str] | None = None) -> tuple[Hit, ...]:
        """Rank the k best pages of the documents in `within` (None: all) by weighted late interaction.

        Raises:
            StoreError: stored vectors that the answer needs are damaged; names them and the remedy.
            UsageError: the query has no rows or another width.
        """
        return self.search_many([query], k=k, within=within)[0]

    def search_many(
        self, queries: Sequence[Vectors], *, k: int, within: frozenset[str] | None = None
    ) -> list[tuple[Hit, ...]]:
        """`search` for several queries, which the first stage looks for in one call; the same answers, in order."""
        snapshot = self._store.snapshot
        if snapshot.damage:
            raise StoreError(
                f"{snapshot.damage[0].reason}; {sum(d.lost for d in snapshot.damage)} pages are lost; "
                "run `recto verify --repair`"
            )
        scorers = [Scorer(query) for query in queries]
        for scorer in scorers:
            if scorer.width != snapshot.manifest.dim:
                raise UsageError(f"the query has {scorer.width} dimensions, not {snapshot.manifest.dim}")
        positions = snapshot.everything if within is None else snapshot.of(within)
        if k <= 0 or not len(positions):
            return [()] * len(scorers)
        held = snapshot.rows(positions)
        rows = held / len(positions)
        wanted = [effort.scored(k, self._options, tokens=len(own.query.rows), rows=rows) for own in scorers]
        looked_at = [positions] * len(scorers)
        if held > self._options.exact_rows and any(own < len(positions) for own in wanted):
            looked_at = self._cache.candidates(snapshot, scorers, positions, wanted)
        return [
            _best(snapshot, own, self._scored(snapshot, scorer, own), k)
            for scorer, own in zip(scorers, looked_at, strict=True)
        ]

    nearest = search

    def vectors(self, page: PageId) -> Vectors | None:
        """A page's vectors as stored (rounded) and their boxes; None for a page not held.

        Raises:
            StoreError: they are damaged.
        """
        snapshot = self._store.snapshot
        at = snapshot.held({page}).get(page)
        if at is None:
            return None
        snapshot.check([at])
        return snapshot.record(at).vectors

    def pages(self) -> AbstractSet[PageId]:
        """The pages held."""
        return self._store.snapshot.pages

    def __len__(self) -> int:
        """How many pages it holds."""
        return len(self._store.snapshot)

    def refresh(self) -> bool:
        """Take up what another process committed; says whether anything changed."""
        changed = self._store.refresh()
        self._cache.refresh()
        return changed

    def verify(self, *, full: bool) -> tuple[Damage, ...]:
        """What is damaged: in files' heads and tables, and with `full` in every page's vectors."""
        found = self._store.verify() if full else self._store.snapshot.damage
        return found + self._cache.verify()

    def rebuild(self) -> None:
        """Forget damaged pages (`pages` then lacks them, embed them again) and build every cache anew."""
        self._upkeep.wait()
        self._store.drop_damaged()
        self._cache.discard()
        self._upkeep.do()

    def compact(self) -> None:
        """Rewrite segments that hold removed pages: what was removed leaves the disk."""
        self._upkeep.wait()
        self._store.compact()

    def size(self) -> Sizes:
        """Pages, vectors and bytes."""
        snapshot = self._store.snapshot
        return Sizes(
            pages=len(snapshot),
            vectors=int(snapshot.lengths.sum()),
            disk_bytes=sum(segment.bytes for segment in snapshot.segments) + self._cache.disk_bytes(),
            memory_bytes=snapshot.uids.nbytes + snapshot.places.nbytes + self._cache.memory_bytes(),
        )

    def close(self) -> None:
        """Finish what is under way, let another process write, free memory; the engine must not be used any more."""
        try:
            self._upkeep.close()
        finally:
            self._store.close()
            self._cache.close()
            self._hot = self._hot_pooled = None

    def _tidy(self) -> None:
        self._store.merge()
        self._cache.maintain()

    @cached_property
    def _hot(self) -> PagesOnDevice | None:
        options, manifest = self._options, self._store.snapshot.manifest
        share = options.hot_bytes * HOT_TOKENS
        return hot_pages(options.device, share, dim=manifest.dim, kind=manifest.stored)

    @cached_property
    def _hot_pooled(self) -> PagesOnDevice | None:
        options, dim = self._options, self._store.snapshot.manifest.dim
        return hot_pages(options.device, options.hot_bytes * (1 - HOT_TOKENS), dim=dim, kind="int8")

    def _scored(
        self, snapshot: Snapshot, scorer: Scorer, positions: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        snapshot.check(positions)
        if self._hot is None:
            return _scored(snapshot, scorer, positions)

        def read(at: int) -> Quantised:
            record = snapshot.record(int(positions[at]))
            return Quantised(record.codes, record.scales)

        return self._hot.scores(scorer, snapshot.uids[positions], snapshot.lengths[positions], read)


def _scored(snapshot: Snapshot, scorer: Scorer, positions: NDArray[np.int64]) -> NDArray[np.float64]:
    where, lots, places = snapshot.places[positions], [], []
    for number, segment in enumerate(snapshot.segments):
        mine = np.flatnonzero(where[:, 0] == number)
        ordinals = where[mine, 1]
        spans = np.stack([segment.bounds[ordinals], segment.bounds[ordinals + 1]])
        lots.append(Lot(segment.codes, segment.scales, spans))
        places.append(mine)
    return scorer.scores_at(places, lots)


def _best(
    snapshot: Snapshot, positions: NDArray[np.int64], scores: NDArray[np.float64], k: int
) -> tuple[Hit, ...]:
    if k < len(scores):
        # every page that ties with the last one stays until the one order has decided
        kept = np.flatnonzero(scores >= np.partition(scores, -k)[-k])
        positions, scores = positions[kept], scores[kept]
    hits = (Hit(snapshot.name(at), float(score)) for at, score in zip(positions, scores, strict=True))
    return ranked(hits)[:k]
