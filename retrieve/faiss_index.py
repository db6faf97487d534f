"""Candidates from FAISS: a few vectors a page, every query token in one call, hits gathered into pages."""

from collections.abc import Sequence

import faiss
import numpy as np
from numpy.typing import NDArray

from domain.page import Hit, PageId, document_of
from domain.run import ranked
from retrieve.encoder import Vectors
from retrieve.gathering import gathered, settled
from retrieve.pooling import pooled

DEPTH = 8
"""How many vectors are asked for a query token and wanted page, before pages are gathered."""


class FaissIndex:
    """Pages as at most `count` pooled vectors in a flat FAISS index."""

    def __init__(self, dim: int, *, count: int = 32) -> None:
        """Start empty; `count` is the largest number of vectors kept of a page."""
        self._count = count
        self._index = faiss.IndexIDMap2(faiss.IndexFlatIP(dim))
        self._names: list[PageId] = []
        self._owner: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._rows: dict[PageId, range] = {}

    def add(self, pages: Sequence[PageId], vectors: Sequence[Vectors]) -> None:
        """Add pages, or replace the vectors of pages that are there; a page without rows is not kept."""
        self.remove(pages)
        kept = [(page, pooled(own.rows, self._count)) for page, own in zip(pages, vectors, strict=True)]
        kept = [(page, rows) for page, rows in dict(kept).items() if len(rows)]
        if not kept:
            return
        owners = np.repeat(
            np.arange(len(self._names), len(self._names) + len(kept)), [len(rows) for _, rows in kept]
        )
        first = len(self._owner)
        for page, rows in kept:
            self._rows[page] = range(first, first + len(rows))
            first += len(rows)
        ids = np.arange(len(self._owner), first)
        self._index.add_with_ids(np.concatenate([rows for _, rows in kept]), ids)
        self._owner = np.concatenate([self._owner, owners])
        self._names.extend(page for page, _ in kept)

    def remove(self, pages: Sequence[PageId]) -> None:
        """Forget pages; unknown ones are ignored."""
        gone = [row for page in pages for row in self._rows.pop(page, ())]
        if gone:
            self._index.remove_ids(faiss.IDSelectorBatch(np.array(gone, dtype=np.int64)))

    def nearest(self, query: Vectors, *, k: int, within: frozenset[str] | None = None) -> tuple[Hit, ...]:
        """Rank the k best pages of the documents in `within`; asks on until enough pages are found."""
        eligible = [page for page in self._rows if within is None or document_of(page) in within]
        wanted = min(k, len(eligible))
        if wanted <= 0:
            return ()
        allowed = np.concatenate([np.asarray(self._rows[page]) for page in eligible])
        chosen = faiss.SearchParameters(sel=faiss.IDSelectorBatch(allowed)) if within is not None else None  # type: ignore[call-arg]  # added by faiss in Python
        depth = wanted * DEPTH
        while True:
            scores, rows = self._index.search(query.rows, min(depth, len(allowed)), params=chosen)
            owners, totals = gathered(query, scores, np.where(rows >= 0, self._owner[rows], -1))
            if depth >= len(allowed) or settled(query, scores, totals, wanted=wanted):
                break
            depth *= 4
        return ranked(
            Hit(self._names[owner], float(total)) for owner, total in zip(owners, totals, strict=True)
        )[:k]

    def __len__(self) -> int:
        """How many pages it holds."""
        return len(self._rows)
