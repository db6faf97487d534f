"""Blobs named by their content: originals, page images and text layers, on disk or in an object store."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotFoundError
from obstore.store import LocalStore, ObjectStore, from_url

from domain.errors import FullDiskError, StoreError, is_full_disk

_CHUNK_BYTES = 4 * 1024 * 1024
_SUFFIXES = {
    "image/png": ".png", "image/jpeg": ".jpg", "image/tiff": ".tiff", "image/webp": ".webp",
    "application/pdf": ".pdf", "application/zlib": ".z",
}  # fmt: skip
_KEY = re.compile(r"[0-9a-f]{2}/[0-9a-f]{64}(\.[a-z0-9]{1,8})?")


class ImageStore:
    """A store in which a key says what its bytes must be; safe to use from several threads and processes.

    A key is `ab/<sha256 of the bytes>.<suffix>`. Writing the same bytes twice is writing them once; a
    blob is there whole or not at all.
    """

    def __init__(self, store: ObjectStore) -> None:
        """Use this obstore store."""
        self._store = store

    @classmethod
    def open(cls, place: Path | str) -> "ImageStore":
        """Open a directory, which is made if it is missing, or a URL such as `s3://bucket/prefix`.

        Raises:
            StoreError: the place cannot be used.
        """
        try:
            if isinstance(place, str) and "://" in place:
                return cls(from_url(place))
            folder = Path(place).absolute()
            folder.mkdir(parents=True, exist_ok=True)
            return cls(LocalStore(folder))
        except (BaseError, OSError, ValueError) as error:
            raise StoreError(f"no blobs can be kept at {place}: {error}") from error

    def put(self, data: bytes, media_type: str) -> str:
        """Keep these bytes and return their key.

        Raises:
            StoreError: they cannot be written; a full disk is named as such.
        """
        key = _key(hashlib.sha256(data).hexdigest(), media_type)
        try:
            obstore.put(self._store, key, data, mode="create", use_multipart=False)
        except AlreadyExistsError:
            return key
        except (BaseError, OSError) as error:
            raise _unwritten(error) from error
        return key

    def put_file(self, path: Path, media_type: str) -> str:
        """Keep a file, read in pieces, and return its key.

        Raises:
            StoreError: it cannot be read or written, or it changed meanwhile.
        """
        try:
            with path.open("rb") as file:
                key = _key(hashlib.file_digest(file, "sha256").hexdigest(), media_type)
            if not self.exists(key):
                obstore.put(self._store, key, _unchanged(path, key), chunk_size=_CHUNK_BYTES)
        except (BaseError, OSError) as error:
            raise _unwritten(error) from error
        return key

    def get(self, key: str) -> bytes:
        """The bytes of a key.

        Raises:
            StoreError: they are missing, or not the ones that were stored.
        """
        return b"".join(self.stream(key))

    def stream(self, key: str) -> Iterator[bytes]:
        """The bytes of a key in pieces.

        Raises:
            StoreError: they are missing, or, after the last piece, not the ones that were stored.
        """
        digest = hashlib.sha256()
        try:
            for piece in obstore.get(self._store, _valid(key)).stream(min_chunk_size=_CHUNK_BYTES):
                data = bytes(piece)
                digest.update(data)
                yield data
        except (NotFoundError, FileNotFoundError) as error:
            raise StoreError(f"blob {key} is missing; run `recto verify --repair`") from error
        except (BaseError, OSError) as error:
            raise StoreError(f"blob {key} cannot be read: {error}") from error
        if digest.hexdigest() != _digest(key):
            raise StoreError(f"blob {key} is damaged; run `recto verify --repair`")

    def exists(self, key: str) -> bool:
        """Whether the key is there; says nothing of its bytes."""
        try:
            obstore.head(self._store, _valid(key))
        except (NotFoundError, FileNotFoundError):
            return False
        except (BaseError, OSError) as error:
            raise StoreError(f"blob {key} cannot be looked up: {error}") from error
        return True

    def delete(self, key: str) -> None:
        """Forget a key; one that is not there is ignored.

        Raises:
            StoreError: the store refuses.
        """
        try:
            obstore.delete(self._store, _valid(key))
        except (NotFoundError, FileNotFoundError):
            return
        except (BaseError, OSError) as error:
            raise StoreError(f"blob {key} cannot be deleted: {error}") from error

    def keys(self) -> Iterator[str]:
        """Every key, in no order; files that are not blobs are passed over.

        Raises:
            StoreError: the store cannot be listed.
        """
        try:
            for batch in obstore.list(self._store):
                yield from (str(entry["path"]) for entry in batch if _KEY.fullmatch(str(entry["path"])))
        except (BaseError, OSError) as error:
            raise StoreError(f"the blobs cannot be listed: {error}") from error


def _key(digest: str, media_type: str) -> str:
    return f"{digest[:2]}/{digest}{_SUFFIXES.get(media_type, '')}"


def _valid(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise StoreError(f"{key!r} is not the key of a blob")
    return key


def _digest(key: str) -> str:
    return key[3:67]


def _unchanged(path: Path, key: str) -> Iterator[bytes]:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_CHUNK_BYTES):
            digest.update(piece)
            yield piece
    if digest.hexdigest() != _digest(key):
        raise OSError(f"{path} changed while it was read; add it again")


def _unwritten(error: Exception) -> StoreError:
    if is_full_disk(error):
        return FullDiskError()
    said = str(error).partition("\n")[0]
    return StoreError(f"a blob cannot be written: {said}")
