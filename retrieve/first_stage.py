"""The first stage: a few pooled vectors a page in FAISS, and from a query to the pages worth an exact look.

It is a cache of a token store. It knows pages by their uids: pages newer than `covered` are unknown to it
and removed ones linger, so whoever asks scores the unknown ones exactly and says which ones live.
"""

import json
import logging
import threading
from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np
import xxhash
from numpy.typing import NDArray

from domain.errors import StoreError
from retrieve.encoder import Floats, Vectors
from retrieve.files import file_checksum, write_file
from retrieve.gpu import placed
from retrieve.maxsim import token_weights
from retrieve.pooling import pooled

log = logging.getLogger(__name__)

Uids = NDArray[np.int64]
VERSION = 1
INDEX, TABLE, STAMP = "first-stage.faiss", "first-stage.pages", "first-stage.json"
BATCH = 256
FLAT_ROWS = 40_000
"""Pooled vectors up to which cells would cost more than they save."""
SAMPLE = 48
"""Vectors a cell that training looks at."""
DEPTH = 4
"""Vectors asked for a query token, by wanted page."""
PROBES = 32
"""Cells looked at for each query token."""
CODES = "SQ8"
SELECT = 0.7
"""The share of pages that may be found below which FAISS is told which."""


class FirstStage:
    """Pages as pooled vectors in one FAISS index: flat while small, then cells of byte codes."""

    def __init__(
        self, index: faiss.Index, pages: Uids, bounds: Uids, *, covered: int, count: int, trained: int
    ) -> None:
        """Use `build` or `load` instead.

        Args:
            index: holds the vectors of the pages one after another.
            pages: (pages,) uids, ascending.
            bounds: (pages + 1,) the first vector of each page, then the end.
            covered: newer pages are unknown.
            count: the largest number of vectors kept of a page.
            trained: how many pages there were when the cells were trained.
        """
        self._cpu = index
        self.trained = trained
        self._mutex = threading.Lock()  # FAISS does not search while it adds
        self.count = count
        self._take(pages, bounds, covered)

    @classmethod
    def build(cls, uids: Uids, read: Callable[[int], Floats], *, dim: int, count: int) -> "FirstStage":
        """Train on a sample of the pages and add all of them.

        Args:
            uids: the pages, ascending.
            read: from a position in `uids` to the page's (n, dim) vectors.
            dim: the width of the vectors.
            count: the largest number of vectors kept of a page.
        """
        rows = len(uids) * count
        cells = int(2 * np.sqrt(rows))
        index: faiss.Index
        if rows <= FLAT_ROWS:
            index = faiss.IndexFlatIP(dim)
        else:
            index = faiss.index_factory(dim, f"IVF{cells},{CODES}", faiss.METRIC_INNER_PRODUCT)
            chosen = np.random.default_rng(0).permutation(len(uids))[: -(-cells * SAMPLE // count)]
            index.train(np.concatenate([pooled(read(int(at)), count) for at in chosen]))
        none = np.zeros(0, dtype=np.int64)
        first = cls(index, none, np.zeros(1, dtype=np.int64), covered=0, count=count, trained=len(uids))
        first.extend(uids, read)
        return first

    def extend(self, uids: Uids, read: Callable[[int], Floats]) -> None:
        """Add pages, newer than all that are there; the cells stay as they were trained."""
        lengths = [np.diff(self._bounds)]
        for start in range(0, len(uids), BATCH):
            rows = [pooled(read(at), self.count) for at in range(start, min(start + BATCH, len(uids)))]
            with self._mutex:
                self._cpu.add(np.concatenate(rows))
            lengths.append(np.array([len(own) for own in rows], dtype=np.int64))
        bounds = np.concatenate([[0], np.cumsum(np.concatenate(lengths))]).astype(np.int64)
        covered = int(uids[-1]) if len(uids) else self.covered
        self._take(np.concatenate([self.pages, uids]) if len(self._bounds) > 1 else uids, bounds, covered)

    def candidates(self, query: Vectors, *, wanted: int, living: Uids) -> Uids:
        """The best `wanted` living pages by pooled vectors, and their ties, ascending; all when there are fewer.

        All query tokens are searched in one call; where pages that do not count leave too few, the search
        goes on with more cells and more vectors.

        Args:
            query: unit rows and weights.
            wanted: how many pages are to be looked at exactly.
            living: the uids that may be found, ascending; those not covered are passed over.
        """
        living = living[: np.searchsorted(living, self.covered, side="right")]
        if wanted >= len(living):
            return living
        selector = self._selector(living) if len(living) < SELECT * len(self.pages) else None
        owners = self._owners
        depth, probes = wanted * DEPTH, PROBES
        while True:
            scores, rows = self._search(query.rows, depth=depth, probes=probes, selector=selector)
            # vectors that are being added just now have no page yet
            known = (rows >= 0) & (rows < len(owners))
            uids, totals = gathered(query, scores, np.where(known, owners[np.where(known, rows, 0)], -1))
            at = np.searchsorted(living, uids).clip(max=len(living) - 1)
            alive = living[at] == uids
            uids, totals = uids[alive], totals[alive]
            if settled(query, scores, totals, wanted=wanted):
                # pages that tie with the last one come along: the exact look decides
                return np.asarray(uids[totals >= np.partition(totals, -wanted)[-wanted]])
            if depth >= len(owners) and probes >= self.cells:
                return living  # vectors that FAISS cannot tell apart hide pages: then look at all
            depth, probes = depth * 4, probes * 4

    @property
    def cells(self) -> int:
        """In how many cells the vectors lie; 1 for a flat index."""
        return int(self._cpu.nlist) if isinstance(self._cpu, faiss.IndexIVF) else 1

    @property
    def bytes(self) -> int:
        """About how much memory the index takes."""
        code = self._cpu.code_size + 8 if isinstance(self._cpu, faiss.IndexIVF) else self._cpu.d * 4
        return int(self._cpu.ntotal) * int(code) + self._owners.nbytes + self.pages.nbytes

    def save(self, directory: Path) -> None:
        """Write index and table, the table with the checksums last."""
        directory.mkdir(exist_ok=True)
        write_file(directory / INDEX, lambda file: file.write(faiss.serialize_index(self._cpu).data))
        table = self.pages.tobytes() + self._bounds.tobytes()
        write_file(directory / TABLE, lambda file: file.write(table))
        stamp = {
            "version": VERSION,
            "pages": len(self.pages),
            "covered": self.covered,
            "trained": self.trained,
            "count": self.count,
            "index": file_checksum(directory / INDEX),
            "table": xxhash.xxh3_128_hexdigest(table),
        }
        write_file(directory / STAMP, lambda file: file.write(json.dumps(stamp).encode()))

    @classmethod
    def load(cls, directory: Path, *, dim: int, count: int) -> "FirstStage":
        """Read what `save` wrote.

        Raises:
            StoreError: a file is missing, damaged, or made with other options.
        """
        try:
            stamp = json.loads((directory / STAMP).read_bytes())
            table = (directory / TABLE).read_bytes()
            if (stamp["version"], stamp["count"]) != (VERSION, count):
                raise StoreError(f"{directory} was made with other options")
            # FAISS reads a damaged file without complaint: the checksum comes first
            if file_checksum(directory / INDEX) != stamp["index"]:
                raise StoreError(f"{directory / INDEX} is damaged")
            if xxhash.xxh3_128_hexdigest(table) != stamp["table"]:
                raise StoreError(f"{directory / TABLE} is damaged")
            index = faiss.read_index(str(directory / INDEX))
            numbers = np.frombuffer(table, dtype=np.int64)
            pages, bounds = numbers[: stamp["pages"]], numbers[stamp["pages"] :]
            if index.d != dim or index.ntotal != bounds[-1]:
                raise StoreError(f"{directory} belongs to other vectors")
            covered, trained = int(stamp["covered"]), int(stamp["trained"])
            return cls(index, pages, bounds, covered=covered, count=count, trained=trained)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            raise StoreError(f"the first stage in {directory} cannot be read: {error}") from error

    def _take(self, pages: Uids, bounds: Uids, covered: int) -> None:
        with self._mutex:
            self.pages, self._bounds, self.covered = pages, bounds, covered
            self._owners = np.repeat(pages, np.diff(bounds))
            self._index = placed(self._cpu)

    def _selector(self, living: Uids) -> faiss.IDSelector:
        allowed = np.repeat(np.isin(self.pages, living, assume_unique=True), np.diff(self._bounds))
        bits = np.packbits(allowed, bitorder="little")
        return faiss.IDSelectorBitmap(bits)  # type: ignore[call-arg, arg-type]  # faiss takes arrays in Python

    def _search(
        self, rows: Floats, *, depth: int, probes: int, selector: faiss.IDSelector | None
    ) -> tuple[Floats, Uids]:
        cells = {"nprobe": min(probes, self.cells)} if self.cells > 1 else {}
        kind = faiss.SearchParametersIVF if cells else faiss.SearchParameters
        options = kind(sel=selector, **cells)  # type: ignore[call-arg]  # added by faiss in Python
        with self._mutex:
            scores, found = self._index.search(rows, min(depth, len(self._owners)), params=options)
        return scores, found


def gathered(query: Vectors, scores: Floats, owners: Uids) -> tuple[Uids, NDArray[np.float64]]:
    """Join the vectors found for each query token into pages.

    A page counts with its best vector for each token; where a token did not reach it, with the last score
    that the token saw, which no vector that was looked at and left out exceeds.

    Args:
        query: its weights count.
        scores: (q, depth) falling, as FAISS returns them.
        owners: (q, depth) the page of each vector; -1 where nothing was found.

    Returns:
        The pages found, ascending, and their scores.
    """
    real = owners >= 0
    seen, where = np.unique(owners[real], return_inverse=True)
    tokens = np.nonzero(real)[0]
    last = np.where(real, scores, np.inf).min(axis=1)
    last = np.where(np.isfinite(last), last, -1.0)
    best = np.tile(last.astype(np.float32), (len(seen), 1))
    np.maximum.at(best, (where, tokens), scores[real])
    return seen, best.astype(np.float64) @ token_weights(query.rows, query.weights)


def settled(query: Vectors, scores: Floats, totals: NDArray[np.float64], *, wanted: int) -> bool:
    """Whether no page that was not found can tie with the best `wanted` of those that were.

    Args:
        query: its weights count.
        scores: (q, depth) falling, as FAISS returned them.
        totals: the found pages' scores.
        wanted: how many pages are asked for; at least 1.
    """
    if len(totals) < wanted:
        return False
    unseen = scores.min(axis=1).astype(np.float64) @ token_weights(query.rows, query.weights)
    return bool(np.partition(totals, -wanted)[-wanted] > unseen + 1e-6)
