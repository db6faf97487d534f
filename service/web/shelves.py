"""Collections as people see them on a shelf: by the covers of their documents."""

from dataclasses import dataclass

from domain.errors import NotFoundError
from domain.page import page_id
from library.results import CollectionInfo, DocumentInfo, PageInfo
from service.access import View

_COVERS = 3
_TRIED = 30
"""Documents that are looked at for covers; some failed, some wait."""
_SHOWABLE = frozenset({"rendered", "embedded", "ready", "blank"})


@dataclass(frozen=True, slots=True)
class Shelf:
    """A collection and the first pages of a few of its documents."""

    info: CollectionInfo
    covers: tuple[PageInfo, ...]


def shelves(view: View) -> tuple[Shelf, ...]:
    """Every collection that exists for the caller, with its covers."""
    return tuple(
        Shelf(info, _covers(view, view.documents(info.name, most=_TRIED))) for info in view.collections()
    )


def cover(view: View, info: DocumentInfo) -> PageInfo | None:
    """A document's first page, None where it cannot be shown (yet)."""
    try:
        page = view.page(page_id(info.id, 1))
    except NotFoundError:
        return None
    return page if page.state in _SHOWABLE else None


def _covers(view: View, documents: tuple[DocumentInfo, ...]) -> tuple[PageInfo, ...]:
    found: list[PageInfo] = []
    for info in documents:
        page = cover(view, info) if info.status != "failed" else None
        found += [page] if page else []
        if len(found) == _COVERS:
            break
    return tuple(found)
