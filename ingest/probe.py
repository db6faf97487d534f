"""What a document is, before any page of it is rendered."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from domain.errors import DocumentError
from ingest.limits import Limits
from ingest.pool import Pool
from ingest.remedies import with_remedy
from ingest.sniff import Kind, Sniffed, sniff

EngineName = Literal["mupdf", "poppler", "pdfium", "pillow"]

_ENGINES: Mapping[Kind, tuple[EngineName, ...]] = MappingProxyType(
    {"pdf": ("mupdf", "poppler", "pdfium"), "image": ("pillow",)}
)


@dataclass(frozen=True, slots=True)
class Probe:
    """A document that can be opened.

    Attributes:
        kind: what it is by its content, whatever its name says.
        pages: how many pages it has, at least one.
        title: the title in its metadata, often empty.
        metadata: author, subject, creator and the like, as the document states them.
    """

    kind: Kind
    pages: int
    title: str
    metadata: Mapping[str, str]


def probe(path: Path, limits: Limits) -> Probe:
    """Open a document in a child process of its own.

    Raises:
        DocumentError: it cannot be read, is empty, encrypted, damaged or too large, or has too many pages.
    """
    pool = Pool(limits, 1)
    try:
        return examine(pool, path)
    finally:
        pool.close()


def examine(pool: Pool, path: Path) -> Probe:
    """`probe` in a worker that is already there."""
    sniffed = sniff(path, pool.limits)
    failures: list[DocumentError] = []
    for engine in engines(sniffed.kind):
        try:
            fields = pool.ask(request(path, sniffed, engine, ask="outline")).fields
        except DocumentError as error:
            failures.append(error)
            if error.code not in {"corrupt", "crashed"}:
                break
        else:
            if fields["pages"] > 0:
                return _checked(path, sniffed.kind, fields, pool.limits)
            failures.append(DocumentError("empty", "it has no pages"))
    raise _named(path, failures)


def engines(kind: Kind) -> tuple[EngineName, ...]:
    """The renderers for a kind of document, in the order in which they are tried."""
    return _ENGINES[kind]


def request(
    path: Path, sniffed: Sniffed, engine: EngineName, *, ask: str, number: int = 0
) -> Mapping[str, Any]:
    """What to ask a worker."""
    return {
        "engine": engine, "path": str(path.absolute()), "version": sniffed.version,
        "ask": ask, "number": number,
    }  # fmt: skip


def _checked(path: Path, kind: Kind, fields: Mapping[str, Any], limits: Limits) -> Probe:
    if fields["pages"] > limits.max_pages:
        raise DocumentError(
            "too_many_pages",
            f"{path} has {fields['pages']:,} pages, more than {limits.max_pages:,}; "
            "split it or raise the limit",
        )
    return Probe(kind, int(fields["pages"]), str(fields["title"]), MappingProxyType(dict(fields["metadata"])))


def _named(path: Path, failures: list[DocumentError]) -> DocumentError:
    """The failure to report: what the first renderer said, unless a later one knows that it is locked."""
    chosen = failures[0]
    if chosen.code == "corrupt":
        chosen = next((failure for failure in failures if failure.code == "encrypted"), chosen)
    return DocumentError(chosen.code, f"{path}: {with_remedy(chosen.code, str(chosen))}")
