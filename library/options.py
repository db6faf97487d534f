"""What may differ from one search to the next."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from domain.errors import UsageError

RerankDepth = Literal["auto", "off"] | int


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """Options of one search.

    Attributes:
        k: how many pages to return.
        collection: only this collection; None means all that `collections` allows.
        collections: the collections that the asker may see; None means all.
        document: only the document of this name (with or without its extension) or id.
        filters: metadata fields and the values that a document must have.
        rerank: `auto`, `off`, or how many pages to reorder.
        budget_ms: milliseconds for the whole search; reranking stops in time.
        arms: the arms that answer; None means the settings' arms.
    """

    k: int = 10
    collection: str | None = None
    collections: frozenset[str] | None = None
    document: str | None = None
    filters: Mapping[str, str] = field(default_factory=dict)
    rerank: RerankDepth = "auto"
    budget_ms: float | None = None
    arms: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse what could not work, naming the option."""
        if not 1 <= self.k <= 1000:
            raise UsageError(f"k is the number of pages to return, from 1 to 1000, not {self.k}")
        if isinstance(self.rerank, int) and not 0 <= self.rerank <= 1000:
            raise UsageError(f"rerank is auto, off or a depth up to 1000, not {self.rerank}")
        if self.budget_ms is not None and not self.budget_ms > 0:
            raise UsageError(f"budget_ms must be above 0, not {self.budget_ms}")
