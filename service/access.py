"""Who asks, and what exists for them: the one place where collections are filtered."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from domain.errors import NotFoundError
from library.library import Library
from library.options import SearchOptions
from library.results import (
    CollectionInfo,
    DocumentInfo,
    Evidence,
    Job,
    PageInfo,
    Picture,
    SearchResult,
)
from service.keys import SCOPES, Key, Scope
from service.problems import ProblemError
from service.thumbnails import Thumbnails

Search = Callable[[str, SearchOptions], SearchResult]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: a key, or whoever sits at this machine while no keys exist."""

    name: str
    scopes: frozenset[str]
    collections: frozenset[str] | None = None

    @classmethod
    def of(cls, key: Key) -> "Caller":
        """The caller that holds this key; admin may do everything that write may, write what read may."""
        rank = max(SCOPES.index(scope) for scope in key.scopes)
        limits = None if key.collections is None else frozenset(key.collections)
        return cls(key.id, frozenset(SCOPES[: rank + 1]), limits)

    def sees(self, collection: str) -> bool:
        """Whether this collection exists for the caller."""
        return self.collections is None or collection in self.collections

    def need(self, scope: Scope) -> None:
        """Refuse a caller without this scope.

        Raises:
            ProblemError: 403, naming the scope.
        """
        if scope not in self.scopes:
            raise ProblemError(403, "forbidden", f"this key has no {scope} scope; ask for one that has")


LOCAL = Caller("local", frozenset(SCOPES))


class View:
    """A library as one caller sees it: what the key does not cover does not exist.

    Every route goes through a view and none holds the library itself, so the rule stands here alone.
    """

    def __init__(
        self,
        library: Library,
        caller: Caller,
        *,
        search: Search | None = None,
        thumbnails: Thumbnails | None = None,
        turn: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """Look at the library with this caller's eyes.

        Args:
            library: what is looked at.
            caller: whose eyes.
            search: the shared engine's way of asking.
            thumbnails: pictures that were scaled before.
            turn: what is held while the library is written to, so that a running job makes room.
        """
        caller.need("read")
        self._library, self._turn, self._thumbnails = library, turn, thumbnails
        self._search = search or library.search
        self.caller = caller

    def search(self, text: str, options: SearchOptions) -> SearchResult:
        """Search what the caller may see."""
        return self._search(text, self.limited(options))

    def limited(self, options: SearchOptions) -> SearchOptions:
        """These options, held to the caller's collections.

        Raises:
            NotFoundError: the named collection does not exist for the caller.
        """
        if options.collection is not None:
            self._visible(options.collection)
        mine, asked = self.caller.collections, options.collections
        both = mine if asked is None else asked if mine is None else mine & asked
        return replace(options, collections=both)

    def collections(self) -> tuple[CollectionInfo, ...]:
        """The collections that exist for the caller."""
        return tuple(info for info in self._library.collections() if self.caller.sees(info.name))

    def collection(self, name: str) -> CollectionInfo:
        """One collection, or NotFoundError."""
        for info in self.collections():
            if info.name == name:
                return info
        raise NotFoundError(f"there is no collection {name!r}")

    def documents(
        self, collection: str, *, start: int = 0, most: int | None = None
    ) -> tuple[DocumentInfo, ...]:
        """A collection's documents by name, at most so many from `start` on, or NotFoundError."""
        self._visible(collection)
        return self._library.documents(collection, start=start, most=most)

    def twin(self, collection: str, sha256: str) -> DocumentInfo | None:
        """The document of this content in this collection, if any; NotFoundError where the caller may not see it."""
        self._visible(collection)
        return self._library.twin(collection, sha256)

    def document(self, document_id: str) -> DocumentInfo:
        """One document, or NotFoundError."""
        info = self._library.document(document_id)
        if not self.caller.sees(info.collection):
            raise NotFoundError(f"there is no document {document_id!r}")
        return info

    def pages(self, document_id: str) -> tuple[PageInfo, ...]:
        """The pages of one document, in order, or NotFoundError."""
        return self._library.pages(self.document(document_id).id)

    def page(self, page_id: str) -> PageInfo:
        """One page, or NotFoundError."""
        info = self._library.page(page_id)
        if not self.caller.sees(info.collection):
            raise NotFoundError(f"there is no page {page_id!r}")
        return info

    def image(self, page_id: str, *, width: int | None = None) -> Picture:
        """A page's picture, at most `width` pixels wide, or NotFoundError."""
        page = self.page(page_id)
        kept = self._thumbnails.get(page, width) if self._thumbnails else None
        found = kept or self._library.image(page.id, width=width)
        if self._thumbnails and kept is None and width is not None:
            self._thumbnails.put(page, width, found)
        return found

    def text(self, page_id: str) -> str:
        """A page's text layer, empty where it has none, or NotFoundError."""
        return self._library.text(self.page(page_id).id)

    def evidence(self, page_id: str, query: str) -> Evidence:
        """Where a page answers a query, or NotFoundError."""
        return self._library.evidence(self.page(page_id).id, query)

    def original(self, document_id: str) -> Iterator[bytes]:
        """The bytes of a document as they were uploaded, or NotFoundError."""
        return self._library.original(self.document(document_id).id)

    def jobs(self, *, unfinished: bool = False, most: int | None = None) -> tuple[Job, ...]:
        """The jobs of collections that exist for the caller, the newest first; at most so many."""
        return self._library.jobs(collections=self.caller.collections, unfinished=unfinished, most=most)

    def job(self, job_id: str) -> Job:
        """One job, or NotFoundError."""
        job = self._library.job(job_id)
        if not self.caller.sees(job.collection):
            raise NotFoundError(f"there is no job {job_id!r}")
        return job

    def accept(
        self,
        paths: Sequence[Path],
        *,
        collection: str,
        names: Mapping[Path, str],
        metadata: Mapping[str, str],
    ) -> Job:
        """Take files in; needs the write scope and a key that covers the collection."""
        self.may_write(collection)
        with self._turn():
            return self._library.accept(paths, collection=collection, names=names, metadata=metadata)

    def may_write(self, collection: str) -> None:
        """Refuse a caller who may not add to this collection."""
        self.caller.need("write")
        if not self.caller.sees(collection):
            raise ProblemError(403, "forbidden", f"this key does not cover the collection {collection!r}")

    def cancel(self, job_id: str) -> Job:
        """Stop a job; needs the write scope."""
        self.caller.need("write")
        return self._library.cancel(self.job(job_id).id)

    def remove(self, *documents: str) -> None:
        """Remove documents, by id, and their pages; needs the write scope."""
        self.caller.need("write")
        with self._turn():
            self._library.remove(*(self.document(document_id).id for document_id in documents))

    def _visible(self, collection: str) -> None:
        if not self.caller.sees(collection):
            raise NotFoundError(f"there is no collection {collection!r}")
