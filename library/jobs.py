"""Jobs: what was asked to be indexed, kept in the catalogue so that they outlive the process."""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast, get_args

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session

from domain.errors import Failure, FailureCode, NotFoundError
from library.catalog import OPEN_STATES, Catalog
from library.results import FailedInput, Job, JobStatus, Skipped
from library.tables import DocumentRow, JobInputRow, JobRow, PageRow

UNFINISHED: tuple[JobStatus, ...] = ("queued", "running")
FAILURE_CODES: tuple[str, ...] = get_args(FailureCode)


@dataclass(frozen=True, slots=True)
class Input:
    """One file of a job and what became of it when it was accepted."""

    path: str
    document_id: str | None = None
    failure: Failure | None = None
    skipped: str | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """Pages that are ready, blank or failed, of all pages of a job."""

    done: int
    total: int


def failure(code: str | None, message: str | None) -> Failure | None:
    """A failure from its two columns; None where there is none."""
    if code is None:
        return None
    return Failure(cast("FailureCode", code if code in FAILURE_CODES else "crashed"), message or "")


class Jobs:
    """The jobs of one catalogue."""

    def __init__(self, catalog: Catalog) -> None:
        """Keep jobs in this catalogue."""
        self._catalog = catalog

    def create(self, collection: str, inputs: Sequence[Input]) -> str:
        """Write a job and its inputs; the new job's id."""
        job_id = uuid.uuid4().hex[:12]
        with self._catalog.begin() as session:
            session.add(JobRow(id=job_id, collection=collection, status="queued"))
            session.flush()
            session.add_all(_input_row(job_id, position, item) for position, item in enumerate(inputs))
        return job_id

    def set_status(self, job_id: str, status: JobStatus) -> None:
        """Move a job to a status."""
        with self._catalog.begin() as session:
            session.execute(sa.update(JobRow).where(JobRow.id == job_id).values(status=status))

    @contextmanager
    def running(self, job_id: str) -> Iterator[None]:
        """Mark a job as running while it is worked on; left half-way, it waits again.

        Only for whoever holds the library's one lock for writers: other jobs marked as running were left by
        a process that was killed, and wait again too.
        """
        with self._catalog.begin() as session:
            left = sa.update(JobRow).where(JobRow.status == "running")
            session.execute(left.values(status="queued"))
            mine = sa.update(JobRow).where(JobRow.id == job_id, JobRow.status.in_(UNFINISHED))
            session.execute(mine.values(status="running"))  # one that was cancelled meanwhile stays so
        try:
            yield
        finally:
            with self._catalog.begin() as session:
                session.execute(left.where(JobRow.id == job_id).values(status="queued"))

    def job(self, job_id: str) -> Job:
        """Read a job as it stands now.

        Raises:
            NotFoundError: there is none of that id.
        """
        with self._catalog.begin() as session:
            row = session.scalars(sa.select(JobRow).where(JobRow.id == job_id)).first()
            if row is None:
                raise NotFoundError(f"there is no job {job_id!r} in this library")
            return _job(session, row)

    def status(self, job_id: str) -> str:
        """A job's status alone."""
        with self._catalog.begin() as session:
            return session.scalar(sa.select(JobRow.status).where(JobRow.id == job_id)) or "cancelled"

    def progress(self, job_id: str) -> Done:
        """How many of a job's pages are done, counted in the catalogue."""
        with self._catalog.begin() as session:
            return _progress(session, job_id)

    def queued(self, job_id: str) -> tuple[str, ...]:
        """The documents of a job that wait to be indexed, in its order."""
        with self._catalog.begin() as session:
            return tuple(session.scalars(_waiting(job_id).order_by(JobInputRow.position)))

    def all(
        self, *, collections: frozenset[str] | None = None, unfinished: bool = False, most: int | None = None
    ) -> tuple[Job, ...]:
        """Jobs, the newest first: of these collections, still to be done, at most so many; None is all."""
        wanted = sa.select(JobRow).order_by(JobRow.sequence.desc()).limit(most)
        if collections is not None:
            wanted = wanted.where(JobRow.collection.in_(collections))
        if unfinished:
            wanted = wanted.where(JobRow.status.in_(UNFINISHED))
        with self._catalog.begin() as session:
            return tuple(_job(session, row) for row in session.scalars(wanted).all())

    def unfinished(self) -> tuple[str, ...]:
        """The ids of jobs that are queued or were stopped half-way, the oldest first."""
        wanted = sa.select(JobRow.id).where(JobRow.status.in_(UNFINISHED)).order_by(JobRow.sequence)
        with self._catalog.begin() as session:
            return tuple(session.scalars(wanted))

    def worked_off(self) -> tuple[str, ...]:
        """Those of the unfinished jobs that have no document left to be indexed."""
        waiting = _waiting(JobRow.id).correlate(JobRow).exists()
        wanted = sa.select(JobRow.id).where(JobRow.status.in_(UNFINISHED), ~waiting)
        with self._catalog.begin() as session:
            return tuple(session.scalars(wanted.order_by(JobRow.sequence)))


def _mine(job_id: str | InstrumentedAttribute[str]) -> sa.Select[Any]:
    """The documents of a job."""
    return sa.select(JobInputRow.document_id).where(
        JobInputRow.job_id == job_id, JobInputRow.outcome == "accepted"
    )


def _waiting(job_id: str | InstrumentedAttribute[str]) -> sa.Select[Any]:
    """The documents of a job that wait to be indexed."""
    mine = _mine(job_id).join(DocumentRow, DocumentRow.id == JobInputRow.document_id)
    return mine.where(DocumentRow.state == "queued")


def _input_row(job_id: str, position: int, item: Input) -> JobInputRow:
    outcome = "failed" if item.failure else "skipped" if item.skipped else "accepted"
    return JobInputRow(
        job_id=job_id,
        position=position,
        path=item.path,
        outcome=outcome,
        document_id=item.document_id,
        code=item.failure.code if item.failure else None,
        message=item.failure.message if item.failure else item.skipped,
    )


def _job(session: Session, row: JobRow) -> Job:
    wanted = sa.select(JobInputRow).where(JobInputRow.job_id == row.id).order_by(JobInputRow.position)
    inputs = session.scalars(wanted).all()
    accepted = {i.document_id: i.path for i in inputs if i.outcome == "accepted" and i.document_id}
    progress = _progress(session, row.id)
    return Job(
        id=row.id,
        collection=row.collection,
        status=cast("JobStatus", row.status),
        documents=tuple(accepted),
        pages_done=progress.done,
        pages_total=progress.total,
        failed=(
            *_failed_inputs(inputs),
            *_failed_documents(session, row.id, accepted),
            *_failed_pages(session, row.id, accepted),
        ),
        skipped=tuple(Skipped(i.path, i.message or "") for i in inputs if i.outcome == "skipped"),
    )


def _progress(session: Session, job_id: str) -> Done:
    mine = _mine(job_id)
    pages = sa.select(sa.func.sum(DocumentRow.pages)).where(DocumentRow.id.in_(mine))
    of_job = sa.select(sa.func.count()).select_from(PageRow).where(PageRow.document_id.in_(mine))
    total = session.scalar(pages) or 0
    waiting = session.scalar(of_job.where(PageRow.state.in_(OPEN_STATES))) or 0
    return Done(total - waiting, total)


def _failed_inputs(inputs: Sequence[JobInputRow]) -> list[FailedInput]:
    found = ((i.path, failure(i.code, i.message)) for i in inputs if i.outcome == "failed")
    return [FailedInput(path, reason) for path, reason in found if reason]


def _failed_documents(session: Session, job_id: str, accepted: dict[str, str]) -> list[FailedInput]:
    mine = DocumentRow.id.in_(_mine(job_id))
    wanted = sa.select(DocumentRow).where(mine, DocumentRow.state == "failed")
    found = ((row.id, failure(row.failure_code, row.failure_message)) for row in session.scalars(wanted))
    return [FailedInput(accepted[doc], reason) for doc, reason in found if reason]


def _failed_pages(session: Session, job_id: str, accepted: dict[str, str]) -> list[FailedInput]:
    wanted = (
        sa.select(PageRow)
        .where(PageRow.document_id.in_(_mine(job_id)), PageRow.state == "failed")
        .order_by(PageRow.document_id, PageRow.number)
    )
    rows = session.scalars(wanted).all()
    found = ((row, failure(row.failure_code, row.failure_message)) for row in rows)
    return [FailedInput(accepted[row.document_id], reason, row.number) for row, reason in found if reason]
