"""What a page of results needs to know: the asked-for state as links, and each hit with its moves."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

from pydantic import BaseModel, Field

from domain.errors import NotFoundError, UsageError
from domain.page import PageId
from library.build import FIRST
from library.results import EvidenceCell, FoundPage, PageInfo, SearchResult
from service.access import View
from service.web.render import query
from service.web.told import places


class Asked(BaseModel):
    """The state of the search page; its fields are the link's parameters."""

    q: str = Field(default="", max_length=4000)
    collection: str = Field(default="", max_length=100)
    document: str = Field(default="", max_length=300)
    k: int = Field(default=12, ge=1, le=1000)
    rerank: str = Field(default="auto", pattern=r"^(auto|off|[0-9]{1,3})$")
    group: Literal["", "document"] = ""
    field: str = Field(default="", max_length=100)
    value: str = Field(default="", max_length=300)
    why: bool = False
    light: bool = False
    judged: Literal["", "yes", "no"] = ""
    zoom: Literal["fit", "width", "100", "150", "200"] = "fit"
    fragment: bool = False

    def link(self, path: str = "/search", **changes: Any) -> str:
        """A link to this state with some of it changed."""
        kept = self.model_dump(exclude_defaults=True, exclude={"fragment", "judged"})
        if path == "/search":  # how a page is looked at is no part of a search
            kept.pop("zoom", None)
            kept.pop("why", None)
        for name, value in changes.items():
            kept[name] = value
            if value == type(self).model_fields[name].default:
                del kept[name]
        kept = {name: 1 if value is True else value for name, value in kept.items()}
        text = query(kept)
        return f"{path}?{text}" if text else path

    def filters(self) -> dict[str, str]:
        """The metadata that a document must have."""
        return {self.field.strip(): self.value.strip()} if self.field.strip() and self.value.strip() else {}

    @property
    def narrowed(self) -> bool:
        """Whether anything but the words limits the search."""
        return bool(self.document.strip() or self.filters())


@dataclass(frozen=True, slots=True)
class ShownHit:
    """A hit as it is shown; `moved`: how many ranks it rose since the first stage, None without reranking.

    `cells` are the places to light up, none where nobody asked for them.
    """

    hit: FoundPage
    rank: int
    page: PageInfo
    moved: int | None
    link: str
    cells: tuple[EvidenceCell, ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """Hits under one heading; the heading is empty where nothing is grouped."""

    document_id: str
    document: str
    hits: tuple[ShownHit, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """A result as it is shown."""

    result: SearchResult
    groups: tuple[Group, ...]
    total_ms: float


def shown(view: View, result: SearchResult, asked: Asked) -> Answer:
    """Prepare a result for its page; a page that was removed meanwhile is left out."""
    hits = tuple(_hits(view, result, asked))
    groups = tuple(_by_document(hits)) if asked.group == "document" else (Group("", "", hits),)
    total = result.timings_ms.get("total", sum(result.timings_ms.values()))
    return Answer(result, groups, total)


def _hits(view: View, result: SearchResult, asked: Asked) -> Iterable[ShownHit]:
    for rank, hit in enumerate(result.hits, start=1):
        try:
            page = view.page(hit.page_id)
        except NotFoundError:
            continue
        link = asked.link(f"/pages/{hit.page_id}", why=True)
        cells = _cells(view, hit.page_id, asked.q.strip()) if asked.light else ()
        yield ShownHit(hit, rank, page, _moved(hit, rank), link, cells)


def _cells(view: View, page: PageId, text: str) -> tuple[EvidenceCell, ...]:
    try:
        return places(view.evidence(page, text).cells)
    except UsageError:  # without a visual arm nothing says where a page answers
        return ()


def _moved(hit: FoundPage, rank: int) -> int | None:
    return next((mark.rank - rank for mark in hit.stages if mark.stage == FIRST), None)


def _by_document(hits: tuple[ShownHit, ...]) -> Iterable[Group]:
    first: dict[str, int] = {}
    for shown_hit in hits:
        first.setdefault(shown_hit.hit.document_id, shown_hit.rank)
    ordered = sorted(hits, key=lambda s: (first[s.hit.document_id], s.rank))
    for document_id, members in groupby(ordered, key=lambda s: s.hit.document_id):
        found = tuple(members)
        yield Group(document_id, found[0].hit.document, found)
