"""Accepting documents: hash, probe, keep the original, queue the pages. Durable when it returns."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256 as sha256_of
from pathlib import Path

from domain.errors import DocumentError, Failure, UsageError
from ingest.render import Renderer
from library.enrichment import can_enrich
from library.entries import NewDocument
from library.jobs import Input
from library.sources import Source, sha256, sources, unreadable
from library.stores import Stores

MEDIA_TYPES = {
    ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".tif": "image/tiff",
    ".tiff": "image/tiff", ".webp": "image/webp",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Order:
    """What to accept: where it goes, what it is called, and what is known of it."""

    collection: str = "default"
    names: Mapping[Path, str] | None = None
    metadata: Mapping[str, str] | None = None


def accept(stores: Stores, renderer: Renderer, paths: Sequence[Path], order: Order) -> str:
    """Take documents in and return the job that will index them. One bad file never stops the others.

    Raises:
        UsageError: no path was given, or the collection's name cannot be one.
        BusyError: another process writes to this library.
    """
    if not paths:
        raise UsageError("nothing to index: name at least one file or folder")
    check_name(order.collection)
    with stores.writing():
        inputs: list[Input] = []
        for source in sources(paths, order.names):
            earlier = {item.document_id for item in inputs}
            inputs.append(_accepted(stores, renderer, source, order, earlier))
        return stores.jobs.create(order.collection, inputs)


def check_name(collection: str) -> None:
    """Refuse a collection's name that could not stand in a URL or a table.

    Raises:
        UsageError: it is empty, too long, or holds slashes or control characters.
    """
    if not 0 < len(collection) <= 100 or not collection.isprintable() or set(collection) & set("/\\?#"):
        raise UsageError(
            f"a collection cannot be called {collection!r}; use up to 100 letters without / \\ ? #"
        )


def document_id(collection: str, digest: str) -> str:
    """The id of the document of this content in this collection."""
    return sha256_of(f"{collection}\0{digest}".encode()).hexdigest()[:16]


def _accepted(
    stores: Stores, renderer: Renderer, source: Source, order: Order, earlier: Container[str | None]
) -> Input:
    path = str(source.path) if source.path not in (order.names or {}) else source.name
    try:
        if source.problem:
            raise source.problem
        digest = _digest(source.path, stores.settings.max_bytes)
        known = stores.catalog.known(order.collection, digest)
        done = known and known.state == "ready" and not can_enrich(stores, [known.id])
        if known and (known.id in earlier or done):
            return Input(path, skipped=f"same content as {known.name}")
        if known and known.state in {"queued", "ready"}:
            return Input(path, document_id=known.id)
        if known:
            stores.catalog.forget(known.id)
        return Input(path, document_id=_taken(stores, renderer, source, order=order, digest=digest))
    except DocumentError as error:
        sentence = str(error).replace(str(source.path), path).replace(source.path.name, source.name)
        return Input(path, failure=Failure(error.code, sentence))


def _taken(stores: Stores, renderer: Renderer, source: Source, *, order: Order, digest: str) -> str:
    probe = renderer.probe(source.path)
    media_type = "application/pdf" if probe.kind == "pdf" else MEDIA_TYPES.get(source.path.suffix.lower(), "")
    new = NewDocument(
        id=document_id(order.collection, digest),
        collection=order.collection,
        name=source.name,
        sha256=digest,
        size_bytes=source.path.stat().st_size,
        kind=probe.kind,
        title=probe.title,
        pages=probe.pages,
        blob=stores.blobs.put_file(source.path, media_type),
        fields={**probe.metadata, **(order.metadata or {})},
    )
    stores.catalog.add_document(replace(new, replaces=_older(stores, new)))
    return new.id


def _older(stores: Stores, new: NewDocument) -> str | None:
    row = stores.catalog.newest(new.collection, new.name)
    return row.id if row else None


def _digest(path: Path, max_bytes: int) -> str:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise unreadable(path, error) from error
    if size > max_bytes:
        raise DocumentError(
            "too_large",
            f"{path.name} has {size:,} bytes, more than the {max_bytes:,} allowed; "
            "split it, or raise the setting max_bytes",
        )
    return sha256(path)
