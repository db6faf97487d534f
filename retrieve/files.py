"""Writing files so that a crash leaves the old or the new one, and telling when one is damaged."""

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import xxhash

CHUNK = 1 << 22


def write_file(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write under a temporary name, flush to disk, rename, flush the directory.

    Raises:
        OSError: the disk is full or the directory cannot be written; nothing is left behind.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".tmp-")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make renames and removals in a directory survive a power cut."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def file_checksum(path: Path) -> str:
    """Thirty-two hex digits over the whole file (xxh3, 128 bits)."""
    digest = xxhash.xxh3_128()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def sealed(fields: Mapping[str, object]) -> bytes:
    """Fields as JSON under their own checksum."""
    body = json.dumps(fields, sort_keys=True)
    return json.dumps({"checksum": xxhash.xxh3_128_hexdigest(body.encode()), "body": body}).encode()


def unsealed(data: bytes) -> dict[str, Any]:
    """The fields of sealed JSON.

    Raises:
        ValueError: it is not sealed JSON, or the checksum differs.
    """
    try:
        outer = json.loads(data)
        body = str(outer["body"])
        checksum = outer["checksum"]
    except (KeyError, TypeError) as error:
        raise ValueError(f"it is not sealed: {error}") from error
    if xxhash.xxh3_128_hexdigest(body.encode()) != checksum:
        raise ValueError("its checksum differs")
    fields: dict[str, Any] = json.loads(body)
    return fields
