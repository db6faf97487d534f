"""Brings a benchmark's documents into a library, once, and finds them there again."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from domain.errors import UsageError
from domain.page import PageId
from evaluation.corpus import Corpus
from evaluation.folder import Files
from library.library import Library
from library.results import DocumentInfo, FailedInput, Progress
from library.sources import stem

COLLECTION = "benchmark"


@dataclass(frozen=True, slots=True)
class Placed:
    """A benchmark's documents in a library.

    Attributes:
        pages: how many pages each document has, by name; documents that could not be read are absent.
        ready: the pages that can be found; `with_text` those that have a text layer.
        failed: files and pages that were not indexed, and why.
        embedded: pages that were embedded now, in `seconds`; 0 where all was there already.
    """

    corpus: Corpus
    pages: Mapping[str, int]
    ready: frozenset[PageId]
    with_text: frozenset[PageId]
    failed: tuple[FailedInput, ...]
    embedded: int = 0
    seconds: float = 0.0


def accepted(library: Library, files: Files) -> tuple[str, Mapping[str, int]]:
    """Take the PDFs in without embedding anything, so that judgements can be checked against page counts.

    Returns:
        The job that will embed them, and the number of pages of each document that can be read, by name.
    """
    job = library.accept(list(files.pdfs.values()), collection=COLLECTION)
    found = _by_name(library, files)
    return job.id, {name: document.pages for name, document in found.items() if document.pages}


def place(
    library: Library, files: Files, job_id: str, *, progress: Callable[[Progress], None] = lambda _: None
) -> Placed:
    """Embed what is not embedded yet; stopped and called again, it goes on where it was.

    Raises:
        ModelError: the encoder cannot be loaded.
        BusyError: another process writes to the library.
    """
    before = _ready(library, _by_name(library, files).values())
    start = time.monotonic()
    for step in library.process(job_id):
        progress(step)
    seconds = time.monotonic() - start
    placed = _placed(library, _by_name(library, files), library.job(job_id).failed)
    embedded = len(placed.ready) - len(before)
    return Placed(
        placed.corpus,
        placed.pages,
        placed.ready,
        placed.with_text,
        placed.failed,
        embedded,
        seconds if embedded else 0.0,
    )


def stored(library: Library, collection: str) -> Placed:
    """Find a collection's documents by name.

    Raises:
        UsageError: the collection holds no documents, or two of one name.
    """
    documents = library.documents(collection)
    if not documents:
        raise UsageError(f"collection {collection!r} holds no documents; `recto index` adds some")
    named: dict[str, DocumentInfo] = {}
    for document in documents:
        name = stem(document.name)
        if name in named:
            raise UsageError(
                f"collection {collection!r} holds two documents called {name!r}: "
                f"{named[name].id} and {document.id}; remove one"
            )
        named[name] = document
    return _placed(library, named, ())


def _placed(
    library: Library, documents: Mapping[str, DocumentInfo], failed: tuple[FailedInput, ...]
) -> Placed:
    pages = [page for doc in {d.id for d in documents.values()} for page in library.pages(doc)]
    return Placed(
        corpus=Corpus.of({name: document.id for name, document in documents.items()}),
        pages={name: document.pages for name, document in documents.items() if document.pages},
        ready=frozenset(page.id for page in pages if page.state == "ready"),
        with_text=frozenset(page.id for page in pages if page.has_text),
        failed=failed,
    )


def _by_name(library: Library, files: Files) -> dict[str, DocumentInfo]:
    """The documents of the PDFs, found by content: equal files are one document."""
    found = {document.sha256: document for document in library.documents(COLLECTION)}
    return {name: found[digest] for name, digest in files.hashes.items() if digest in found}


def _ready(library: Library, documents: Iterable[DocumentInfo]) -> set[PageId]:
    ids = {document.id for document in documents}
    return {page.id for doc in ids for page in library.pages(doc) if page.state == "ready"}


def size_bytes(directory: Path) -> int:
    """What a folder takes on disk, files that vanish meanwhile left aside."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
