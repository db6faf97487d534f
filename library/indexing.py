"""Working a job off: render, store, embed, commit, a batch at a time; it can be stopped after any step."""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from domain.errors import DocumentError, Failure
from ingest.render import FailedPage, Rendered, Renderer
from library.arms import Arm, PageContent
from library.batches import batched
from library.contents import WORDS_TYPE, content, stored_content
from library.enrichment import can_enrich, enrich
from library.entries import StoredPage
from library.numbering import read_numbers
from library.results import Job, Progress
from library.sources import stem
from library.stores import Stores
from library.sync import remove, sync
from library.tables import DocumentRow


class Step(NamedTuple):
    """A document's name, the last page done of it, how many pages since the last step, and how many OCR is to read."""

    document: str
    page: int
    pages: int
    to_read: int = 0


@dataclass(frozen=True, slots=True)
class Piece:
    """Stored pages of a document that are to be embedded, the step that they are, and what follows the last of them."""

    pages: Sequence[PageContent] = ()
    step: Step | None = None
    ending: Callable[[], None] | None = None


@dataclass(slots=True)
class Batch:
    """Pieces that are embedded and committed together: of one document, or of several small ones."""

    pages: list[PageContent] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    endings: list[Callable[[], None]] = field(default_factory=list)

    def take(self, piece: Piece) -> None:
        """Put a piece behind the others."""
        self.pages += piece.pages
        self.steps += [piece.step] if piece.step else []
        self.endings += [piece.ending] if piece.ending else []

    def clear(self) -> None:
        """Start anew."""
        self.pages, self.steps, self.endings = [], [], []


@dataclass(frozen=True, slots=True)
class Indexer:
    """Brings the pages of a library's documents from queued to ready."""

    stores: Stores
    renderer: Renderer

    def process(self, job_id: str) -> Iterator[Progress]:
        """Index a job's documents; one step a batch. Called again, it goes on where it was stopped.

        Raises:
            NotFoundError: there is no such job.
            BusyError: another process writes to this library.
            StoreError: a file cannot be written; what was committed stays.
            ModelError: a model cannot be loaded or returned nonsense; what was committed stays.
        """
        started = time.monotonic()
        jobs = self.stores.jobs
        job = jobs.job(job_id)
        if job.status in {"done", "failed", "cancelled"}:
            return
        with self.stores.writing() as arms:
            sync(self.stores, arms)
            now = jobs.progress(job_id)
            with jobs.running(job_id):
                for name, number, pages, to_read in self._steps(job, tuple(arms.values())):
                    now = replace(now, done=now.done + pages)
                    seconds = time.monotonic() - started
                    yield Progress(job_id, now.done, now.total, name, number, seconds, to_read)
                    if jobs.status(job_id) == "cancelled":
                        return
                for other in jobs.worked_off():  # also what a killed run left and this job indexed
                    if other == job_id or not can_enrich(self.stores, jobs.job(other).documents):
                        self._end(other)
            if any(arm.behind for arm in arms.values()):
                yield Progress(job_id, now.done, now.total, "", 0, time.monotonic() - started)

    def _end(self, job_id: str) -> None:
        job = self.stores.jobs.job(job_id)
        worked = job.skipped or any(self.stores.catalog.state(doc) == "ready" for doc in job.documents)
        self.stores.jobs.set_status(job_id, "done" if worked or not job.failed else "failed")

    def _steps(self, job: Job, arms: Sequence[Arm]) -> Iterator[Step]:
        """Every document, then words for its pages that have none; by then they are found by sight.

        Documents that fit into a batch together are committed together: models read many pages sooner than many
        times one. A document that does not fit keeps none before it waiting.
        """
        size, batch = self.stores.batch_pages, Batch()
        for document_id in self.stores.jobs.queued(job.id):
            document = self.stores.catalog.document(document_id)
            if document.state != "queued":
                continue
            if len(batch.pages) + document.pages > size:
                yield from self._commit(batch, arms)
            for piece in self._document(document):
                batch.take(piece)
                if not 0 < len(batch.pages) < size:
                    yield from self._commit(batch, arms)
        yield from self._commit(batch, arms)
        if can_enrich(self.stores, job.documents):
            for name, number, left in enrich(self.stores, job.documents, arms):
                yield Step(name, number, 0, left)

    def _document(self, document: DocumentRow) -> Iterator[Piece]:
        """Every piece of a document, at most a batch each, and its end."""
        catalog = self.stores.catalog
        stored = catalog.pages(document.id, states=("rendered", "embedded"))
        for rows in batched(stored, self.stores.batch_pages):
            pages = [stored_content(self.stores, document, row) for row in rows]
            yield Piece(pages, Step(document.name, rows[-1].number, len(rows)))
        waiting = [row.number for row in catalog.pages(document.id, states=("queued",))]
        try:
            yield from self._rendered(document, waiting)
        except DocumentError as error:
            failure = Failure(error.code, str(error))
            yield Piece(ending=partial(catalog.set_document, document.id, "failed", failure))
        else:
            yield Piece(ending=partial(self._finish, document))

    def _rendered(self, document: DocumentRow, numbers: Sequence[int]) -> Iterator[Piece]:
        if not numbers:
            return
        with self._original(document) as path:
            for batch in batched(self.renderer.pages(path, numbers), self.stores.batch_pages):
                pages = self._stored(document, batch)
                yield Piece(pages, Step(document.name, batch[-1].number, len(batch)))

    def _stored(self, document: DocumentRow, batch: Sequence[Rendered | FailedPage]) -> list[PageContent]:
        """Keep what was rendered, note what failed, and give what is to be embedded."""
        contents, rows = [], []
        for page in batch:
            if isinstance(page, FailedPage):
                self.stores.catalog.fail_page(document.id, page.number, page.failure)
                continue
            rows.append(self._kept(page))
            if not page.blank:
                contents.append(
                    content(self.stores, document, number=page.number, text=page.text, image=page.image)
                )
        if rows:
            self.stores.catalog.rendered(document.id, rows)
        return contents

    def _kept(self, page: Rendered) -> StoredPage:
        blobs = self.stores.blobs
        return StoredPage(
            number=page.number,
            width_px=page.width_px,
            height_px=page.height_px,
            image=blobs.put(page.image, page.media_type),
            media_type=page.media_type,
            words=blobs.put(page.layer, WORDS_TYPE),
            characters=len(page.text),
            wordless=page.wordless,
            blank=page.blank,
        )

    def _commit(self, batch: Batch, arms: Sequence[Arm]) -> Iterator[Step]:
        """Vectors and words first, durable; then the rows, which make the pages searchable; then documents end."""
        if batch.pages:
            for arm in arms:
                arm.add(batch.pages)
            self.stores.catalog.set_pages([page.id for page in batch.pages], "ready")
            for arm in arms:
                self.stores.mark_synced(arm)
        for ending in batch.endings:
            ending()
        steps = tuple(batch.steps)
        batch.clear()
        yield from steps

    def _finish(self, document: DocumentRow) -> None:
        catalog = self.stores.catalog
        failed = catalog.pages(document.id, states=("failed",))
        if failed and len(failed) == document.pages:
            first = failed[0]
            reason = f"none of its {document.pages} pages could be read; page 1: {first.failure_message}"
            catalog.set_document(document.id, "failed", Failure("corrupt", reason))
            return
        catalog.set_document(document.id, "ready")
        read_numbers(self.stores, document.id)
        if document.replaces:
            remove(self.stores, [document.replaces])

    @contextmanager
    def _original(self, document: DocumentRow) -> Iterator[Path]:
        suffix = Path(document.name).suffix
        with tempfile.TemporaryDirectory(prefix="recto-") as folder:
            path = Path(folder) / f"{stem(document.name).replace('/', '_')[:80]}{suffix}"
            with path.open("wb") as file:
                for piece in self.stores.blobs.stream(document.blob):
                    file.write(piece)
            yield path
