"""A library: PDFs in, ranked pages out. The use cases, one method each."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from domain.errors import UsageError
from domain.page import PageId, Query, Word
from domain.run import Run
from domain.stage import Stage
from ingest.render import Renderer
from library import health, reading, renewal, sync
from library.enrichment import lacking
from library.estimate import Estimate, estimated
from library.indexing import Indexer
from library.intake import Order, accept
from library.models import Models, Sharing
from library.options import SearchOptions
from library.results import (
    CollectionInfo,
    DocumentInfo,
    Evidence,
    IndexReport,
    Job,
    PageInfo,
    Picture,
    Progress,
    SearchResult,
    VerifyReport,
)
from library.searching import Searcher, load_costs, save_costs
from library.settings import FILE_NAME, Settings, default_directory
from library.stores import Stores
from rerank.reranker import Reranker
from retrieve.encoder import Encoder

Watch = Callable[[Progress], None]


class Library:
    """Collections of documents in one directory, indexed and searchable; safe to use from several threads."""

    def __init__(self, directory: Path, settings: Settings) -> None:
        """Use `Library.open` instead."""
        self.directory, self.settings = directory, settings
        self._models = Models(settings)
        self._stores = Stores(directory, settings, self._models)
        self._renderer = Renderer(settings.limits, settings.readers)
        self._indexer = Indexer(self._stores, self._renderer)
        self._searcher = Searcher(self._stores, load_costs(directory))

    @classmethod
    def open(cls, directory: Path | str | None = None, settings: Settings | None = None) -> Self:
        """Open the library in a directory, creating it if it is not there.

        Args:
            directory: where it lives; None is the user's data directory.
            settings: choices to use; None reads the library's `settings.toml` and the environment.

        Raises:
            UsageError: the directory is a file, or its settings are wrong.
            StoreError: the catalogue is damaged or from a newer recto.
        """
        place = Path(directory) if directory is not None else default_directory()
        if place.exists() and not place.is_dir():
            raise UsageError(f"{place} is a file; a library needs a directory")
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"no library can be made in {place}: {error.strerror}") from error
        return cls(place, settings or Settings.load(place))

    def __enter__(self) -> Self:
        """The library itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """End the child processes and let go of every file."""
        self._renderer.close()
        self._stores.close()

    @property
    def encoder(self) -> Encoder:
        """The visual bi-encoder, loaded on first use."""
        return self._models.encoder

    @property
    def reranker(self) -> Reranker | None:
        """The cross-encoder, loaded on first use; None when the settings say `none`."""
        return self._models.reranker

    def share(self, sharing: Sharing) -> None:
        """Put around the models what lets many threads share them: the very same vectors, batched or kept."""
        self._models.share(sharing)

    # Writing

    def accept(
        self,
        paths: Sequence[Path],
        *,
        collection: str = "default",
        names: Mapping[Path, str] | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Job:
        """Take files and folders in, durably, as a job that is not started yet.

        Args:
            paths: files, or folders whose documents are taken.
            collection: made if it is not there.
            names: what a file is called, where that is not its own name.
            metadata: fields of every document taken, for filters and for search.

        Raises:
            UsageError: no path was given, or the collection's name cannot be one.
            BusyError: another process writes to this library.
        """
        if not (self.directory / FILE_NAME).exists():
            self.settings.save(self.directory)
        return self.job(accept(self._stores, self._renderer, paths, Order(collection, names, metadata)))

    def process(self, job_id: str) -> Iterator[Progress]:
        """Work a job off, one batch a step; stopped after any step, it goes on from there when called again.

        Raises:
            NotFoundError: there is no such job.
            BusyError: another process writes to this library.
            StoreError: a file cannot be written; what was committed stays.
            ModelError: a model cannot be loaded or returned nonsense; what was committed stays.
        """
        return self._indexer.process(job_id)

    def index(
        self, paths: Sequence[Path | str], *, collection: str = "default", progress: Watch | None = None
    ) -> IndexReport:
        """Take files and folders in and make their pages searchable; one bad file never stops the others.

        Raises:
            UsageError: no path was given, or the collection's name cannot be one.
            BusyError: another process writes to this library.
        """
        started = time.monotonic()
        job = self.accept([Path(path) for path in paths], collection=collection)
        for step in self.process(job.id):
            if progress:
                progress(step)
        return self.report(job.id, seconds=time.monotonic() - started)

    def report(self, job_id: str, *, seconds: float) -> IndexReport:
        """What a finished job did."""
        job = self.job(job_id)
        ready = [self.document(doc) for doc in job.documents if self._stores.catalog.state(doc) == "ready"]
        pages = sum(info.states.get("ready", 0) + info.states.get("blank", 0) for info in ready)
        lacks = lacking(self._stores, [info.id for info in ready])
        return IndexReport(len(ready), pages, job.failed, job.skipped, seconds, lacks)

    def cancel(self, job_id: str) -> Job:
        """Stop a job after its current batch; what is indexed stays, the rest is dropped.

        Raises:
            NotFoundError: there is no such job.
        """
        if self.job(job_id).status in {"queued", "running"}:
            self._stores.jobs.set_status(job_id, "cancelled")
        return self.job(job_id)

    def remove(self, *documents: str) -> None:
        """Delete documents, by id: their rows, their places in every index, and their blobs.

        Raises:
            NotFoundError: one of them does not exist; none is deleted.
            BusyError: another process writes to this library.
        """
        sync.remove(self._stores, documents)

    def renew(self, encoder: str) -> Iterator[Progress]:
        """Embed every page anew with another encoder, then swap; open the library again to use it.

        Raises:
            UsageError: there is no such encoder, or the library has no visual arm.
            BusyError: another process writes to this library.
            ModelError: the encoder cannot be loaded.
        """
        return renewal.renew(self._stores, encoder)

    def roll_back(self) -> str:
        """Go back to the encoder that served before; its name. Open the library again to use it."""
        return renewal.roll_back(self._stores)

    def estimate(self, paths: Sequence[Path | str]) -> Estimate:
        """What indexing these files would cost, measured on a few of their pages; nothing is kept."""
        return estimated(self._renderer, self._models, self.settings, [*map(Path, paths)])

    def verify(self, *, repair: bool = False) -> VerifyReport:
        """Check every blob and index against the catalogue; with `repair`, rebuild what is damaged."""
        if not repair:
            return health.verify(self._stores)
        done = health.repair(self._stores)
        if done.job_id:
            list(self.process(done.job_id))
        return done.report

    # Reading

    def search(self, text: str, options: SearchOptions | None = None) -> SearchResult:
        """Find the pages that answer a question.

        Raises:
            UsageError: the question is empty or too long, or an option does not fit this library.
            NotFoundError: the collection or document does not exist.
            ModelError, StoreError: a model failed or returned nonsense, or what is stored is damaged.
        """
        result = self._searcher.search(text, options or SearchOptions())
        if result.reranked:
            save_costs(self.directory, self._searcher.cost)
        return result

    def run(self, queries: Sequence[Query], options: SearchOptions | None = None) -> Run:
        """The same pipeline for many queries at once; each query's own `within` limits it."""
        return self.pipeline(options or SearchOptions())(Run.ask(*queries))

    def pipeline(self, options: SearchOptions) -> Stage:
        """The pipeline of these options: the one that is served and measured."""
        return self._searcher.pipeline(options)

    def meant(self, query: Query) -> Query:
        """What is searched for in place of a question."""
        return self._searcher.wording(query).query

    def scope(self, options: SearchOptions) -> frozenset[str] | None:
        """The document ids that these options allow; None is all."""
        return self._searcher.scope(options)

    def evidence(self, page_id: PageId, query: str, *, limit: int | None = 12) -> Evidence:
        """Where on a page a question finds its answer; `limit` places at most, None for the whole map."""
        return self._searcher.evidence(page_id, query, limit=limit)

    def job(self, job_id: str) -> Job:
        """A job as it stands; NotFoundError where there is none."""
        return self._stores.jobs.job(job_id)

    def jobs(
        self, *, collections: frozenset[str] | None = None, unfinished: bool = False, most: int | None = None
    ) -> tuple[Job, ...]:
        """Jobs, the newest first: of these collections (None: all), still to be done, at most so many."""
        return self._stores.jobs.all(collections=collections, unfinished=unfinished, most=most)

    def unfinished(self) -> tuple[str, ...]:
        """The ids of jobs that wait, run or were left half-way, the oldest first; cheap to ask."""
        return self._stores.jobs.unfinished()

    def collections(self) -> tuple[CollectionInfo, ...]:
        """Every collection and how much is in it."""
        return reading.collections(self._stores)

    def documents(
        self, collection: str | None = None, *, start: int = 0, most: int | None = None
    ) -> tuple[DocumentInfo, ...]:
        """Every document, or those of one collection, by name: at most so many from `start` on."""
        return reading.documents(self._stores, collection, start=start, most=most)

    def twin(self, collection: str, sha256: str) -> DocumentInfo | None:
        """The document of this content in this collection, if any."""
        return reading.twin(self._stores, collection, sha256)

    def document(self, document_id: str) -> DocumentInfo:
        """One document; NotFoundError where there is none."""
        return reading.document(self._stores, document_id)

    def pages(self, document_id: str) -> tuple[PageInfo, ...]:
        """A document's pages, in order."""
        return reading.pages(self._stores, document_id)

    def page(self, page_id: PageId) -> PageInfo:
        """One page; NotFoundError where there is none."""
        return reading.page(self._stores, page_id)

    def image(self, page_id: PageId, *, width: int | None = None) -> Picture:
        """A page's picture, as stored or scaled down to `width` pixels."""
        return reading.image(self._stores, page_id, width)

    def text(self, page_id: PageId) -> str:
        """A page's text layer, empty where it has none."""
        return reading.words(self._stores, page_id).text

    def words(self, page_id: PageId) -> tuple[Word, ...]:
        """The words of a page's text layer and where they stand."""
        return reading.words(self._stores, page_id).words

    def original(self, document_id: str) -> Iterator[bytes]:
        """The file as it was added, in pieces."""
        return self._stores.blobs.stream(self._stores.catalog.document(document_id).blob)
