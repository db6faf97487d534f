"""The exact index in memory: the yardstick of every other."""

from collections.abc import Sequence

from domain.page import Hit, PageId, document_of
from domain.run import ranked
from retrieve.encoder import Vectors
from retrieve.maxsim import late_interaction


class FlatIndex:
    """Compares the query with every vector of every page, in float64, page by page."""

    def __init__(self) -> None:
        self._pages: dict[PageId, Vectors] = {}

    def add(self, pages: Sequence[PageId], vectors: Sequence[Vectors]) -> None:
        """Add pages, or replace the vectors of pages that are there; a page without rows is not kept."""
        for page, own in zip(pages, vectors, strict=True):
            self._pages.pop(page, None)
            if len(own.rows):
                self._pages[page] = own

    def remove(self, pages: Sequence[PageId]) -> None:
        """Forget pages; unknown ones are ignored."""
        for page in pages:
            self._pages.pop(page, None)

    def nearest(self, query: Vectors, *, k: int, within: frozenset[str] | None = None) -> tuple[Hit, ...]:
        """Rank the k best pages of the documents in `within` (None: all)."""
        return ranked(
            Hit(page, late_interaction(query.rows, own.rows, query.weights))
            for page, own in self._pages.items()
            if within is None or document_of(page) in within
        )[: max(k, 0)]

    def __len__(self) -> int:
        """How many pages it holds."""
        return len(self._pages)
