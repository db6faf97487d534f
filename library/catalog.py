"""The catalogue: which documents and pages there are and how far each got; its rows are the commit point."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.orm import Session, sessionmaker

from domain.errors import Failure, NotFoundError
from domain.page import PageId, document_of, number_of, page_id
from library.batches import batched
from library.database import connect
from library.entries import NewDocument, StoredPage
from library.results import CollectionInfo
from library.tables import Base, CollectionRow, DocumentRow, JobInputRow, PageRow, StampRow

OPEN_STATES = ("queued", "rendered", "embedded")
UNREADY = (*OPEN_STATES, "blank", "failed")
"""Every state of a page but `ready`: few pages are in one of these, and an index leads to them."""
THERE = DocumentRow.state != "deleting"
ASKED_AT_ONCE = 500
"""Keys in one statement; SQLite takes no more than some thousands."""


class Catalog:
    """SQLite behind a few verbs. Every method is one transaction."""

    def __init__(self, path: Path) -> None:
        """Open or create the catalogue at `path`; StoreError when it cannot be read."""
        self._engine = connect(path)
        sessions = sessionmaker(self._engine, expire_on_commit=False)
        self.begin: Callable[[], AbstractContextManager[Session]] = sessions.begin

    def close(self) -> None:
        """Let go of the file."""
        self._engine.dispose()

    # Documents

    def add_document(self, new: NewDocument) -> None:
        """Write a document and its pages as queued."""
        with self.begin() as session:
            session.execute(insert(CollectionRow).values(name=new.collection).on_conflict_do_nothing())
            session.add(
                DocumentRow(
                    id=new.id, collection=new.collection, name=new.name, sha256=new.sha256,
                    size_bytes=new.size_bytes, kind=new.kind, title=new.title, pages=new.pages,
                    state="queued", blob=new.blob, replaces=new.replaces, failure_code=None,
                    failure_message=None, fields=dict(new.fields),
                )
            )  # fmt: skip
            session.flush()
            rows = [
                {"document_id": new.id, "number": number, "state": "queued"}
                for number in range(1, new.pages + 1)
            ]
            session.execute(sa.insert(PageRow), rows)

    def document(self, document_id: str) -> DocumentRow:
        """Read one document.

        Raises:
            NotFoundError: there is none of that id.
        """
        with self.begin() as session:
            row = session.get(DocumentRow, document_id)
        if row is None or row.state == "deleting":
            raise NotFoundError(f"there is no document {document_id!r} in this library")
        return row

    def documents(
        self,
        *,
        collection: str | None = None,
        state: str | None = None,
        start: int = 0,
        most: int | None = None,
    ) -> tuple[DocumentRow, ...]:
        """Read documents by collection and state in the order of their names: at most so many from `start` on."""
        wanted = _listed(collection).where(DocumentRow.state == state if state else THERE)
        with self.begin() as session:
            return tuple(session.scalars(wanted.offset(start).limit(most)))

    def names(
        self, *, collections: Collection[str] | None = None, fields: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        """The names of documents by their ids: of these collections (None: all), with this metadata."""
        wanted = sa.select(DocumentRow.id, DocumentRow.name).where(THERE)
        if collections is not None:
            wanted = wanted.where(DocumentRow.collection.in_(collections))
        for name, value in (fields or {}).items():
            wanted = wanted.where(DocumentRow.fields[name].as_string() == value)
        with self.begin() as session:
            return {row.id: row.name for row in session.execute(wanted)}

    def newest(self, collection: str, name: str) -> DocumentRow | None:
        """The document of this name in this collection, the last by its id where there are several."""
        wanted = _listed(collection).where(THERE, DocumentRow.name == name)
        with self.begin() as session:
            rows: list[DocumentRow] = list(session.scalars(wanted))
        return rows[-1] if rows else None

    def known(self, collection: str, sha256: str) -> DocumentRow | None:
        """The document of this content in this collection, if any."""
        wanted = _listed(collection).where(THERE, DocumentRow.sha256 == sha256)
        with self.begin() as session:
            found: DocumentRow | None = session.scalars(wanted).first()
        return found

    def state(self, document_id: str) -> str | None:
        """A document's state, None where there is no such document."""
        with self.begin() as session:
            return session.scalar(sa.select(DocumentRow.state).where(DocumentRow.id == document_id))

    def set_document(self, document_id: str, state: str, failure: Failure | None = None) -> None:
        """Move a document to a state."""
        with self.begin() as session:
            session.execute(
                sa.update(DocumentRow)
                .where(DocumentRow.id == document_id)
                .values(
                    state=state,
                    failure_code=failure.code if failure else None,
                    failure_message=failure.message if failure else None,
                )
            )

    def hide(self, documents: Sequence[str]) -> None:
        """Hide documents and their pages at once, until `forget` drops their rows."""
        hidden = sa.update(DocumentRow).values(state="deleting")
        with self.begin() as session:
            for some in batched(documents, ASKED_AT_ONCE):
                session.execute(hidden.where(DocumentRow.id.in_(some)))
            _stamp(session)

    def forget(self, document_id: str) -> tuple[str, ...]:
        """Drop a document's rows and name the blobs that nothing else uses."""
        with self.begin() as session:
            row = session.get_one(DocumentRow, document_id)
            pages = session.scalars(sa.select(PageRow).where(PageRow.document_id == document_id)).all()
            blobs = {row.blob, *(key for page in pages for key in (page.image, page.words) if key)}
            session.execute(
                sa.update(JobInputRow).where(JobInputRow.document_id == document_id).values(document_id=None)
            )
            session.execute(sa.delete(PageRow).where(PageRow.document_id == document_id))
            session.execute(sa.delete(DocumentRow).where(DocumentRow.id == document_id))
            _stamp(session)
            session.flush()
            return tuple(sorted(blobs - _used(session, blobs)))

    def collections(self) -> tuple[str, ...]:
        """The names of the collections that hold documents; one that was emptied is gone."""
        filled = sa.exists().where(DocumentRow.collection == CollectionRow.name, THERE)
        wanted = sa.select(CollectionRow.name).where(filled).order_by(CollectionRow.name)
        with self.begin() as session:
            return tuple(session.scalars(wanted))

    def holdings(self) -> tuple[CollectionInfo, ...]:
        """How much each collection that holds documents holds, by name."""
        sums = sa.select(DocumentRow.collection, sa.func.count(), sa.func.sum(DocumentRow.pages)).where(THERE)
        sums = sums.group_by(DocumentRow.collection).order_by(DocumentRow.collection)
        unready = sa.select(DocumentRow.collection, sa.func.count()).select_from(PageRow).join(DocumentRow)
        unready = unready.where(PageRow.state.in_(UNREADY), THERE).group_by(DocumentRow.collection)
        with self.begin() as session:
            waiting = dict(iter(session.execute(unready)))
            return tuple(
                CollectionInfo(name, documents, pages, pages - waiting.get(name, 0))
                for name, documents, pages in session.execute(sums)
            )

    # Pages

    def page(self, page: PageId) -> PageRow:
        """Read one page.

        Raises:
            NotFoundError: there is none of that id.
        """
        try:
            key = (document_of(page), number_of(page))
        except ValueError as error:
            raise NotFoundError(str(error)) from error
        with self.begin() as session:
            row = session.get(PageRow, key)
        if row is None:
            raise NotFoundError(f"there is no page {page!r} in this library")
        return row

    def pages(self, document_id: str, *, states: Iterable[str] | None = None) -> tuple[PageRow, ...]:
        """A document's pages in order, all or those in some states."""
        wanted = sa.select(PageRow).where(PageRow.document_id == document_id).order_by(PageRow.number)
        if states is not None:
            wanted = wanted.where(PageRow.state.in_(tuple(states)))
        with self.begin() as session:
            return tuple(session.scalars(wanted))

    def page_ids(self, *, with_text: bool = False) -> frozenset[PageId]:
        """Every searchable page, or only those that have a text layer."""
        wanted = sa.select(PageRow.document_id, PageRow.number).join(DocumentRow)
        wanted = wanted.where(PageRow.state == "ready", THERE)
        if with_text:
            wanted = wanted.where(PageRow.characters > 0)
        with self.begin() as session:
            return frozenset(page_id(doc, number) for doc, number in session.execute(wanted))

    def states(self, documents: Sequence[DocumentRow]) -> list[dict[str, int]]:
        """How many pages each of these documents has in each state, in order."""
        told = (PageRow.document_id, PageRow.state)
        wanted = sa.select(*told, sa.func.count()).group_by(*told)
        found: dict[str, dict[str, int]] = {row.id: {} for row in documents}
        with self.begin() as session:
            for some in batched(found, ASKED_AT_ONCE):
                for doc, state, number in session.execute(wanted.where(PageRow.document_id.in_(some))):
                    found[doc][state] = number
        return [found[row.id] for row in documents]

    def rendered(self, document_id: str, pages: Sequence[StoredPage]) -> None:
        """Commit that these pages' pictures and words are stored."""
        rows = [
            {
                "document_id": document_id, "number": page.number, "width_px": page.width_px,
                "height_px": page.height_px, "image": page.image, "media_type": page.media_type,
                "words": page.words, "characters": page.characters, "wordless": page.wordless,
                "state": "blank" if page.blank else "rendered",
            }
            for page in pages
        ]  # fmt: skip
        with self.begin() as session:
            session.execute(sa.update(PageRow), rows)

    def set_pages(self, pages: Iterable[PageId], state: str) -> None:
        """Move pages to a state; `ready` makes them searchable."""
        rows = [{"document_id": document_of(p), "number": number_of(p), "state": state} for p in pages]
        if not rows:
            return
        with self.begin() as session:
            session.execute(sa.update(PageRow), rows)
            _stamp(session)

    def set_words(self, document_id: str, pages: Iterable[tuple[int, str, int]]) -> None:
        """Replace the words of ready pages: each page's number, its words' blob, and how many characters."""
        rows = [
            {"document_id": document_id, "number": number, "words": words, "characters": characters}
            for number, words, characters in pages
        ]
        if not rows:
            return
        with self.begin() as session:
            session.execute(sa.update(PageRow), rows)
            _stamp(session)

    def fail_page(self, document_id: str, number: int, failure: Failure) -> None:
        """Commit that a page cannot be indexed, and why."""
        row = {
            "document_id": document_id, "number": number, "state": "failed",
            "failure_code": failure.code, "failure_message": failure.message,
        }  # fmt: skip
        with self.begin() as session:
            session.execute(sa.update(PageRow), [row])

    def stamp(self) -> int:
        """A number that rises whenever what is searchable changes."""
        with self.begin() as session:
            return session.scalar(sa.select(StampRow.value).where(StampRow.name == "searchable")) or 0

    def sizes(self) -> dict[str, int]:
        """Rows in each table."""
        with self.begin() as session:
            return {
                table.name: session.scalar(sa.select(sa.func.count()).select_from(table)) or 0
                for table in Base.metadata.sorted_tables
            }


def _listed(collection: str | None) -> sa.Select[Any]:
    wanted = sa.select(DocumentRow).order_by(DocumentRow.collection, DocumentRow.name, DocumentRow.id)
    return wanted if collection is None else wanted.where(DocumentRow.collection == collection)


def _stamp(session: Session) -> None:
    raised = insert(StampRow).values(name="searchable", value=1)
    session.execute(raised.on_conflict_do_update(index_elements=["name"], set_={"value": StampRow.value + 1}))


def _used(session: Session, blobs: set[str]) -> set[str]:
    used: set[str] = set()
    for column in (DocumentRow.blob, PageRow.image, PageRow.words):
        for part in batched(sorted(blobs), ASKED_AT_ONCE):
            used.update(key for key in session.scalars(sa.select(column).where(column.in_(part))) if key)
    return used
