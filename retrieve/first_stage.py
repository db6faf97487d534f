"""The first stage: a few pooled vectors a page in FAISS, and from a query to the pages worth an exact look.

FAISS finds the pages that any query token comes near; those are compared whole, by their pooled vectors in
bytes; the best of them go on. Gathering alone would lose pages: a token says nothing of pages beyond its
nearest few hundred vectors (docs/decisions/0022).

It is a cache of a token store. It knows pages by their uids: pages newer than `covered` are unknown to it
and removed ones linger, so whoever asks scores the unknown ones exactly and says which ones live.
"""

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import faiss
import numpy as np

from domain.errors import StoreError
from retrieve.encoder import Floats, Vectors
from retrieve.files import file_checksum, sealed, unsealed, write_file
from retrieve.gathering import PageTable, Uids, gathered, settled
from retrieve.gpu import placed
from retrieve.maxsim import Quantised, Scorer, quantised
from retrieve.pooling import pooled

log = logging.getLogger(__name__)

VERSION = 1
INDEX, TABLE, ROWS, STAMP = (f"first-stage.{end}" for end in ("faiss", "pages", "vectors", "json"))
BATCH = 256
FLAT_ROWS = 40_000
"""Pooled vectors up to which cells would cost more than they save."""
SAMPLE = 40
"""Vectors a cell that training looks at."""
ROUNDS = 6
"""How often training moves the cells: they only have to be found again, not to be the best."""
WIDER = 5
"""Pages that are compared by their pooled vectors, by wanted page."""
DEPTH = 2
"""Vectors asked for a query token, by wanted page."""
PROBES = 16
"""Cells looked at for each query token."""
CODES = "SQ4"
"""Half a byte a dimension: the pooled vectors stand by to correct it."""
SELECT = 0.7
"""The share of pages that may be found below which FAISS is told which."""


class FirstStage:
    """Pages as pooled vectors in one FAISS index: flat while small, then cells of byte codes."""

    def __init__(
        self, index: faiss.Index, table: PageTable, rows: Quantised, *, count: int, trained: int
    ) -> None:
        """Use `build` or `load` instead.

        Args:
            index: holds the vectors of the pages one after another.
            table: which vectors are whose.
            rows: the same vectors in bytes.
            count: the largest number of vectors kept of a page.
            trained: how many pages there were when the cells were trained.
        """
        self._cpu = index
        self._mutex = threading.Lock()  # FAISS does not search while it adds
        self.count = count
        self.trained = trained
        self._take(table, rows)

    @property
    def covered(self) -> int:
        """The newest page known; 0 when there is none."""
        return int(self.table.pages[-1]) if len(self.table.pages) else 0

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
        cells = int(np.sqrt(rows))
        index: faiss.Index
        if rows <= FLAT_ROWS:
            index = faiss.IndexFlatIP(dim)
        else:
            index = faiss.index_factory(dim, f"IVF{cells},{CODES}", faiss.METRIC_INNER_PRODUCT)
            index.cp.niter = ROUNDS  # type: ignore[attr-defined]  # of IndexIVF, which the factory made
            chosen = np.random.default_rng(0).permutation(len(uids))[: -(-cells * SAMPLE // count)]
            index.train(np.concatenate([pooled(read(int(at)), count) for at in chosen]))
        none = Quantised(np.zeros((0, dim), dtype=np.uint8), np.zeros(0, dtype=np.float32))
        first = cls(index, PageTable.empty(), none, count=count, trained=len(uids))
        first.extend(uids, read)
        return first

    def extend(self, uids: Uids, read: Callable[[int], Floats]) -> None:
        """Add pages, newer than all that are there; the cells stay as they were trained."""
        lengths: list[int] = []
        parts = [self.rows]
        for start in range(0, len(uids), BATCH):
            rows = [pooled(read(at), self.count) for at in range(start, min(start + BATCH, len(uids)))]
            together = np.concatenate(rows)
            with self._mutex:
                self._cpu.add(together)
            lengths.extend(len(own) for own in rows)
            parts.append(quantised(together))
        codes = np.concatenate([part.codes for part in parts])
        scales = np.concatenate([part.scales for part in parts])
        self._take(self.table.extended(uids, lengths), Quantised(codes, scales))

    def candidates(self, query: Vectors, *, wanted: int, living: Uids) -> Uids:
        """The best `wanted` living pages by pooled vectors, and their ties, ascending; all when there are fewer.

        All query tokens are searched in one call; where pages that do not count leave too few, the search
        goes on with more cells and more vectors.

        Args:
            query: unit rows and weights.
            wanted: how many pages are to be looked at exactly.
            living: the uids that may be found, ascending; those not covered are passed over.
        """
        table, stored = self.table, self.rows
        living = living[np.isin(living, table.pages, assume_unique=True)]
        if wanted >= len(living):
            return living
        found = self._near(query, table, wanted=min(wanted * WIDER, len(living)), living=living)
        places = np.searchsorted(table.pages, found)
        spans = np.stack([table.bounds[places], table.bounds[places + 1]])
        totals = Scorer(query).scores(stored.codes, stored.scales, spans)
        # pages that tie with the last one come along: the exact look decides
        return np.asarray(found[totals >= np.partition(totals, -wanted)[-wanted]])

    def _near(self, query: Vectors, table: PageTable, *, wanted: int, living: Uids) -> Uids:
        """The pages near any query token, at least `wanted` of the living, ascending."""
        few = len(living) < SELECT * len(table.pages)
        selector = self._selector(table, living) if few else None
        depth, probes = wanted // WIDER * DEPTH + 1, PROBES
        while wanted < len(living):
            scores, rows = self._search(query.rows, depth=depth, probes=probes, selector=selector)
            # vectors that are being added just now have no page yet
            known = (rows >= 0) & (rows < len(table.owners))
            uids, totals = gathered(
                query, scores, np.where(known, table.owners[np.where(known, rows, 0)], -1)
            )
            alive = np.isin(uids, living, assume_unique=True)
            uids, totals = uids[alive], totals[alive]
            if settled(query, scores, totals, wanted=wanted):
                return np.asarray(uids[totals >= np.partition(totals, -wanted)[-wanted]])
            if depth >= len(table.owners) and probes >= self.cells:
                break  # FAISS cannot tell so many vectors apart
            depth, probes = depth * 4, probes * 4
        return living

    @property
    def cells(self) -> int:
        """In how many cells the vectors lie; 1 for a flat index."""
        return int(self._cpu.nlist) if isinstance(self._cpu, faiss.IndexIVF) else 1

    @property
    def bytes(self) -> int:
        """About how much memory the index takes."""
        code = self._cpu.code_size + 8 if isinstance(self._cpu, faiss.IndexIVF) else self._cpu.d * 4
        return int(self._cpu.ntotal) * (int(code) + self._cpu.d + 4 + 8) + self.table.pages.nbytes * 2

    def save(self, directory: Path) -> None:
        """Write index, vectors and table; the checksums last."""
        directory.mkdir(exist_ok=True)
        table, rows = self.table, self.rows

        def vectors(file: BinaryIO) -> None:
            file.write(np.ascontiguousarray(rows.scales).data)
            file.write(np.ascontiguousarray(rows.codes).data)

        write_file(directory / INDEX, lambda file: file.write(faiss.serialize_index(self._cpu).data))
        write_file(directory / ROWS, vectors)
        write_file(directory / TABLE, lambda file: file.write(table.pages.tobytes() + table.bounds.tobytes()))
        stamp = {
            "version": VERSION,
            "pages": len(table.pages),
            "trained": self.trained,
            "count": self.count,
            "files": {name: file_checksum(directory / name) for name in (INDEX, ROWS, TABLE)},
        }
        write_file(directory / STAMP, lambda file: file.write(sealed(stamp)))

    @classmethod
    def load(cls, directory: Path, *, dim: int, count: int) -> "FirstStage":
        """Read what `save` wrote.

        Raises:
            StoreError: a file is missing, damaged, or made with other options.
        """
        try:
            stamp = unsealed((directory / STAMP).read_bytes())
            if (stamp["version"], stamp["count"]) != (VERSION, count):
                raise StoreError(f"{directory} was made with other options")
            for name, checksum in stamp["files"].items():
                # FAISS reads a damaged file without complaint: the checksum comes first
                if file_checksum(directory / name) != checksum:
                    raise StoreError(f"{directory / name} is damaged")
            numbers = np.fromfile(directory / TABLE, dtype=np.int64)
            table = PageTable(numbers[: stamp["pages"]], numbers[stamp["pages"] :])
            index = faiss.read_index(str(directory / INDEX))
            if index.d != dim or index.ntotal != table.bounds[-1]:
                raise StoreError(f"{directory} belongs to other vectors")
            return cls(
                index, table, _mapped(directory / ROWS, dim), count=count, trained=int(stamp["trained"])
            )
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            raise StoreError(f"the first stage in {directory} cannot be read: {error}") from error

    def _take(self, table: PageTable, rows: Quantised) -> None:
        with self._mutex:
            self.table, self.rows = table, rows
            self._index = placed(self._cpu)

    @staticmethod
    def _selector(table: PageTable, living: Uids) -> faiss.IDSelector:
        allowed = np.repeat(np.isin(table.pages, living, assume_unique=True), np.diff(table.bounds))
        bits = np.packbits(allowed, bitorder="little")
        return faiss.IDSelectorBitmap(bits)  # type: ignore[call-arg, arg-type]  # faiss takes arrays in Python

    def _search(
        self, rows: Floats, *, depth: int, probes: int, selector: faiss.IDSelector | None
    ) -> tuple[Floats, Uids]:
        cells = {"nprobe": min(probes, self.cells)} if self.cells > 1 else {}
        kind = faiss.SearchParametersIVF if cells else faiss.SearchParameters
        options = kind(sel=selector, **cells)  # type: ignore[call-arg]  # added by faiss in Python
        with self._mutex:
            scores, found = self._index.search(rows, min(depth, int(self._index.ntotal)), params=options)
        return scores, found


def _mapped(path: Path, dim: int) -> Quantised:
    data = np.memmap(path, dtype=np.uint8, mode="r")
    rows = len(data) // (dim + 4)
    return Quantised(data[rows * 4 :].reshape(rows, dim), data[: rows * 4].view(np.float32))
