"""The catalogue's tables. A change here needs a migration in `library/migrations`."""

from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """The catalogue's schema."""

    type_annotation_map = {dict[str, Any]: JSON}  # noqa: RUF012  SQLAlchemy reads this class attribute


class CollectionRow(Base):
    """A named set of documents."""

    __tablename__ = "collections"
    name: Mapped[str] = mapped_column(primary_key=True)


class DocumentRow(Base):
    """A file. `state` is queued, ready, failed or deleting; `replaces` is removed once this one is ready.

    `before_one`: how many pages stand before the one on which 1 is printed; None where nobody knows.
    `outline`: its own table of contents; None where that was never looked for.
    """

    __tablename__ = "documents"
    __table_args__ = (
        UniqueConstraint("collection", "sha256"),
        Index("documents_by_name", "collection", "name"),
    )
    id: Mapped[str] = mapped_column(primary_key=True)
    collection: Mapped[str] = mapped_column(ForeignKey("collections.name"))
    name: Mapped[str]
    sha256: Mapped[str]
    size_bytes: Mapped[int]
    kind: Mapped[str]
    title: Mapped[str]
    pages: Mapped[int]
    state: Mapped[str]
    blob: Mapped[str]
    replaces: Mapped[str | None]
    failure_code: Mapped[str | None]
    failure_message: Mapped[str | None]
    fields: Mapped[dict[str, Any]]
    before_one: Mapped[int | None]
    outline: Mapped[dict[str, Any] | None]


class PageRow(Base):
    """A page. `state` is queued, rendered, embedded, ready, blank or failed.

    `wordless`: the share of it that is drawn in detail without words; None where that was never measured.
    """

    __tablename__ = "pages"
    __table_args__ = (Index("pages_by_state", "state"),)
    document_id: Mapped[str] = mapped_column(ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str]
    width_px: Mapped[int] = mapped_column(default=0)
    height_px: Mapped[int] = mapped_column(default=0)
    image: Mapped[str | None]
    media_type: Mapped[str | None]
    words: Mapped[str | None]
    characters: Mapped[int] = mapped_column(default=0)
    wordless: Mapped[float | None]
    failure_code: Mapped[str | None]
    failure_message: Mapped[str | None]


class JobRow(Base):
    """An upload or an index call. `status` is queued, running, done, failed or cancelled."""

    __tablename__ = "jobs"
    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(unique=True)
    collection: Mapped[str]
    status: Mapped[str]


class JobInputRow(Base):
    """One file of a job. `outcome` is accepted, failed or skipped."""

    __tablename__ = "job_inputs"
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    path: Mapped[str]
    outcome: Mapped[str]
    document_id: Mapped[str | None]
    code: Mapped[str | None]
    message: Mapped[str | None]


class StampRow(Base):
    """A counter that rises with every change of what is searchable; caches carry the value that they hold."""

    __tablename__ = "stamps"
    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[int]
