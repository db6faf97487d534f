"""How documents' pages are numbered, as the catalogue keeps it and as searches ask for it."""

from collections.abc import Collection

import sqlalchemy as sa

from domain.documents import Extent
from domain.page import PageId, document_of, number_of, page_id
from ingest.numbering import pages_before_one
from library.batches import batched
from library.catalog import ASKED_AT_ONCE, Catalog
from library.contents import page_words
from library.stores import Stores
from library.tables import DocumentRow, PageRow


def read_numbers(stores: Stores, document_id: str) -> None:
    """Find the numbers that are printed on a document's pages, and keep how they count.

    Raises:
        StoreError: stored words are damaged.
    """
    rows = stores.catalog.pages(document_id, states=("ready", "blank"))
    before = pages_before_one((row.number, page_words(stores, row).words) for row in rows)
    with stores.catalog.begin() as session:
        session.execute(sa.update(DocumentRow).where(DocumentRow.id == document_id).values(before_one=before))


def extents(catalog: Catalog, documents: Collection[str]) -> dict[str, Extent]:
    """How long each of these documents is and how it is numbered; unknown ones are left out."""
    wanted = sa.select(DocumentRow.id, DocumentRow.pages, DocumentRow.before_one)
    with catalog.begin() as session:
        return {
            doc: Extent(pages, before)
            for some in batched(documents, ASKED_AT_ONCE)
            for doc, pages, before in session.execute(wanted.where(DocumentRow.id.in_(some)))
        }


def extent(row: DocumentRow) -> Extent:
    """How long a document is and how it is numbered."""
    return Extent(row.pages, row.before_one)


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
