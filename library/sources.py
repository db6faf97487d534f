"""From the paths that a user names to the files that are read."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from domain.errors import DocumentError

SUFFIXES = frozenset({".pdf", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp"})
CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Source:
    """A file to be indexed under a name; `problem` is set where it could not even be found."""

    path: Path
    name: str
    problem: DocumentError | None = None


def sources(paths: Sequence[Path], names: Mapping[Path, str] | None = None) -> tuple[Source, ...]:
    """Expand folders and name every file.

    A file in a folder is named by its path below that folder, one named directly by its file name; where two
    files named in the same call would get one name, both keep their parents' names.
    """
    given = names or {}
    found = [source for path in paths for source in _expand(path, given.get(path))]
    unique = list({source.path.absolute(): source for source in found}.values())
    counts = Counter(source.name for source in unique)
    return tuple(
        source if counts[source.name] == 1 or source.path in given else _longer(source) for source in unique
    )


def stem(name: str) -> str:
    """A document's name as it is shown: the file's name without folders and extension."""
    path = PurePosixPath(name)
    return path.stem if path.suffix.lower() in SUFFIXES else path.name


def sha256(path: Path) -> str:
    """Hash a file without holding it in memory.

    Raises:
        DocumentError: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                digest.update(chunk)
    except OSError as error:
        raise unreadable(path, error) from error
    return digest.hexdigest()


def unreadable(path: Path, error: OSError) -> DocumentError:
    """Say that a file cannot be read, and why."""
    reason = error.strerror or type(error).__name__
    remedy = "check that it exists and may be read"
    return DocumentError("unreadable", f"{path} cannot be read: {reason}; {remedy}")


def _expand(path: Path, name: str | None) -> Iterator[Source]:
    if not path.is_dir():
        yield Source(path, name or path.name)
        return
    inside: list[Path] = []
    try:
        inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and not p.is_dir())
    except OSError as error:
        yield Source(path, path.name, unreadable(path, error))
        return
    if not inside:
        kinds = " ".join(sorted(SUFFIXES))
        problem = DocumentError("empty", f"the folder {path} holds no documents; recto reads {kinds}")
        yield Source(path, path.name, problem)
    for file in inside:
        yield Source(file, file.relative_to(path).as_posix())


def _longer(source: Source) -> Source:
    parts = source.path.absolute().parts[-3:]
    return Source(source.path, "/".join(part for part in parts if part != "/"), source.problem)
