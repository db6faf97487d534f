"""What an index is."""

from collections.abc import Sequence
from typing import Protocol

from domain.page import Hit, PageId
from retrieve.encoder import Vectors


class Index(Protocol):
    """Finds the nearest pages. Every implementation agrees with `FlatIndex` up to its stated recall."""

    def add(self, pages: Sequence[PageId], vectors: Sequence[Vectors]) -> None:
        """Add pages, or replace the vectors of pages that are there."""
        ...

    def remove(self, pages: Sequence[PageId]) -> None:
        """Forget pages; unknown ones are ignored."""
        ...

    def nearest(self, query: Vectors, *, k: int, within: frozenset[str] | None = None) -> tuple[Hit, ...]:
        """Rank the k best pages of the documents in `within` (None: all); ties at k are closed first."""
        ...

    def __len__(self) -> int:
        """How many pages it holds."""
        ...
