"""How documents' pages are numbered and what parts they list: as the catalogue keeps it, as searches ask for it."""

import json
from collections.abc import Collection, Iterator, Sequence
from functools import cache, lru_cache
from typing import Any

import sqlalchemy as sa

from domain import words as spelling
from domain.documents import Extent
from domain.outline import Outline
from domain.page import PageId, Word, document_of, number_of, page_id
from ingest.numbering import pages_before_one
from ingest.outline import Body, Listing, before_one_by_list, listing, outline
from library.batches import batched
from library.catalog import ASKED_AT_ONCE, Catalog
from library.contents import page_text, page_words
from library.stores import Stores
from library.tables import DocumentRow, PageRow


def read_numbers(stores: Stores, document_id: str) -> None:
    """Find the numbers that are printed on a document's pages and its table of contents, and keep them.

    Raises:
        StoreError: stored words are damaged.
    """
    rows = {row.number: row for row in stores.catalog.pages(document_id, states=("ready", "blank"))}
    pages = max(rows, default=0)
    listings: dict[int, Listing] = {}

    def read() -> Iterator[tuple[int, Sequence[Word]]]:
        for number, row in rows.items():
            words = page_words(stores, row).words
            if found := listing(words, pages):
                listings[number] = found
            yield number, words

    @cache
    def words_of(number: int) -> Sequence[str]:
        row = rows.get(number)
        return spelling.split(page_text(stores, row)) if row else ()

    before = pages_before_one(read())
    found = outline(listings, Body(pages, before, words_of))
    if before is None:
        before = before_one_by_list(listings, found)
    kept = {"listed_on": found.listed_on, "parts": found.parts}
    changed = sa.update(DocumentRow).where(DocumentRow.id == document_id)
    with stores.catalog.begin() as session:
        session.execute(changed.values(before_one=before, outline=kept))


def extents(catalog: Catalog, documents: Collection[str]) -> dict[str, Extent]:
    """How long each of these documents is, how it is numbered, its parts and its name; unknown ones are left out."""
    outline_text = sa.type_coerce(DocumentRow.outline, sa.String)
    wanted = sa.select(
        DocumentRow.id, DocumentRow.pages, DocumentRow.before_one, outline_text, DocumentRow.name
    )
    with catalog.begin() as session:
        return {
            doc: Extent(pages, before, _read_before(kept or ""), name)
            for some in batched(documents, ASKED_AT_ONCE)
            for doc, pages, before, kept, name in session.execute(wanted.where(DocumentRow.id.in_(some)))
        }


def extent(row: DocumentRow) -> Extent:
    """How long a document is and how it is numbered; its parts are left out."""
    return Extent(row.pages, row.before_one)


@lru_cache(maxsize=1024)
def _read_before(kept: str) -> Outline:
    """The outline of a document that searches have met before is not taken apart again."""
    return unpacked_outline(json.loads(kept) if kept else None)


def unpacked_outline(kept: dict[str, Any] | None) -> Outline:
    """An outline as the catalogue keeps it."""
    if not kept:
        return Outline()
    return Outline(tuple(kept["listed_on"]), tuple((page, title) for page, title in kept["parts"]))


def searchable(catalog: Catalog, pages: Collection[PageId]) -> frozenset[PageId]:
    """Those of these pages that are ready to be found."""
    key = (PageRow.document_id, PageRow.number)
    wanted = sa.select(*key).where(PageRow.state == "ready")
    with catalog.begin() as session:
        return frozenset(
            page_id(doc, number)
            for some in batched([(document_of(page), number_of(page)) for page in pages], ASKED_AT_ONCE)
            for doc, number in session.execute(wanted.where(sa.tuple_(*key).in_(some)))
        )
