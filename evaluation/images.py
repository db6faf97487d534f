"""Brings a corpus of page pictures into a library: each is a document of one page, named by its content."""

import hashlib
import io
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from PIL import Image, UnidentifiedImageError

from domain.errors import UsageError
from domain.page import PageId, document_of, page_id
from library.library import Library
from library.results import FailedInput, Progress

COLLECTION: Final = "images"
BATCH: Final = 256
_SUFFIXES: Final = {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp", "TIFF": ".tif"}


@dataclass(frozen=True, slots=True)
class Picture:
    """One row of a corpus: its id and the encoded image."""

    id: str
    data: bytes


@dataclass(frozen=True, slots=True)
class ImageCorpus:
    """Corpus ids and the documents that hold their pictures; equal pictures share a document.

    Attributes:
        documents: corpus id to document id.
        names: document id to corpus ids, in falling order, as ties stand in TREC runs.
        failed: pictures that could not be indexed, and why.
        embedded: how many were embedded now.
    """

    documents: Mapping[str, str]
    names: Mapping[str, tuple[str, ...]]
    failed: tuple[FailedInput, ...] = ()
    embedded: int = 0

    @property
    def scope(self) -> frozenset[str]:
        """Every document id of the corpus."""
        return frozenset(self.names)

    def corpus_ids(self, page: PageId) -> tuple[str, ...]:
        """Every corpus id whose picture this page is."""
        return self.names[document_of(page)]

    def page(self, corpus_id: str) -> PageId:
        """The page of a corpus id; KeyError where there is none."""
        return page_id(self.documents[corpus_id], 1)


def place_images(
    library: Library, pictures: Iterable[Picture], *, progress: Callable[[Progress], None] = lambda _: None
) -> ImageCorpus:
    """Index the pictures that the library does not hold; memory holds one batch of them.

    Raises:
        UsageError: a corpus id stands twice, or a picture cannot be read as one.
    """
    digests: dict[str, str] = {}
    failed: list[FailedInput] = []
    known = _documents(library)
    embedded = 0
    for batch in _batched(pictures):
        fresh: dict[str, bytes] = {}
        for picture in batch:
            if picture.id in digests:
                raise UsageError(f"corpus id {picture.id!r} stands twice")
            data = _encoded(picture)
            digests[picture.id] = hashlib.sha256(data).hexdigest()
            if digests[picture.id] not in known:
                fresh[digests[picture.id]] = data
        if fresh:
            failed += _indexed(library, fresh, progress)
            known = _documents(library)
            embedded += len(fresh)
    documents = {name: known[digest] for name, digest in digests.items() if digest in known}
    return ImageCorpus(documents, _names(documents), tuple(failed), embedded)


def _names(documents: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    names: dict[str, list[str]] = {}
    for name, document in sorted(documents.items(), reverse=True):
        names.setdefault(document, []).append(name)
    return {document: tuple(found) for document, found in names.items()}


def _documents(library: Library) -> dict[str, str]:
    """Content to document id, of the pictures that are worked off; a blank one is never found."""
    if COLLECTION not in {info.name for info in library.collections()}:
        return {}
    return {info.sha256: info.id for info in library.documents(COLLECTION) if info.status == "ready"}


def _indexed(
    library: Library, fresh: Mapping[str, bytes], progress: Callable[[Progress], None]
) -> tuple[FailedInput, ...]:
    with tempfile.TemporaryDirectory(prefix="recto-images-") as folder:
        paths = []
        for digest, data in fresh.items():
            path = Path(folder) / f"{digest[:32]}{_suffix(data)}"
            path.write_bytes(data)
            paths.append(path)
        job = library.accept(paths, collection=COLLECTION)
        for step in library.process(job.id):
            progress(step)
    return library.job(job.id).failed


def _encoded(picture: Picture) -> bytes:
    """The bytes as they are where recto reads their format; else as PNG, without loss."""
    try:
        if _suffix(picture.data):
            return picture.data
        with Image.open(io.BytesIO(picture.data)) as image:
            out = io.BytesIO()
            image.convert("RGB").save(out, "PNG", compress_level=1)
            return out.getvalue()
    except (UnidentifiedImageError, OSError) as error:
        raise UsageError(f"the picture of corpus id {picture.id!r} cannot be read: {error}") from error


def _suffix(data: bytes) -> str:
    with Image.open(io.BytesIO(data)) as image:
        return _SUFFIXES.get(image.format or "", "")


def _batched(items: Iterable[Picture]) -> Iterator[list[Picture]]:
    iterator = iter(items)
    while batch := list(islice(iterator, BATCH)):
        yield batch
