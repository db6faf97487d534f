"""Uploads: a multipart body streamed to disk under names of our own, hashed, capped and checked."""

import hashlib
import shutil
import tempfile
import unicodedata
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO

from anyio import to_thread
from python_multipart.exceptions import FormParserError, MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from domain.errors import Failure, FullDiskError
from service.problems import ProblemError
from service.settings import MIB, ServiceSettings

if TYPE_CHECKING:  # the library names this type for checkers alone
    from python_multipart.multipart import MultipartCallbacks

_HEAD = 1024
_MAX_FIELD = 65_536
_RESERVE = 256 * MIB
_ENDINGS = (".pdf", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp")
_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", ".png"),
    (b"\xff\xd8\xff", ".jpg"),
    (b"II*\x00", ".tiff"),
    (b"MM\x00*", ".tiff"),
)


@dataclass(frozen=True, slots=True)
class Received:
    """One file of an upload: where it lies until the library has it, or why it was refused."""

    path: Path
    name: str
    sha256: str
    size_bytes: int
    refusal: Failure | None = None


@dataclass(slots=True)
class Upload:
    """What one request brought: its files, and its text fields by name."""

    folder: Path
    files: list[Received] = field(default_factory=list)
    fields: dict[str, str] = field(default_factory=dict)

    @property
    def good(self) -> list[Received]:
        """The files that the library should look at."""
        return [file for file in self.files if file.refusal is None]

    def discard(self) -> None:
        """Remove what still lies in the upload's own folder."""
        shutil.rmtree(self.folder, ignore_errors=True)


def sweep(directory: Path) -> Path:
    """The folder for uploads in progress, emptied of what a killed service left: nothing acknowledged."""
    folder = directory / "uploads"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


async def receive(
    stream: AsyncIterator[bytes], content_type: str, *, folder: Path, settings: ServiceSettings
) -> Upload:
    """Write the files of a multipart body to disk; memory stays below a few MiB whatever is sent.

    Raises:
        ProblemError: 415 or 400 where the body is not multipart, 413 for too many files.
        FullDiskError: the disk has no room left.
    """
    boundary = _boundary(content_type)
    if shutil.disk_usage(folder).free < _RESERVE:
        raise FullDiskError
    upload = Upload(Path(tempfile.mkdtemp(dir=folder)))
    sink = _Sink(upload, settings)
    try:
        parser = MultipartParser(boundary, sink.callbacks())
        await _feed(parser, stream)
        sink.finished()
    except (MultipartParseError, FormParserError) as error:
        upload.discard()
        raise ProblemError(400, "multipart", f"the body is not whole multipart data: {error}") from error
    except BaseException:
        upload.discard()
        raise
    finally:
        sink.close()
    return upload


async def _feed(parser: MultipartParser, stream: AsyncIterator[bytes]) -> None:
    waiting = bytearray()
    async for chunk in stream:
        waiting += chunk
        if len(waiting) >= MIB:
            await to_thread.run_sync(parser.write, bytes(waiting))
            waiting.clear()
    if waiting:
        await to_thread.run_sync(parser.write, bytes(waiting))
    parser.finalize()


def _boundary(content_type: str) -> bytes:
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise ProblemError(
            415, "not-multipart", "send multipart/form-data with the PDFs in the field `files`"
        )
    return options[b"boundary"]


class _Sink:
    """The parser's other end: opens, fills, hashes and closes one file a part."""

    def __init__(self, upload: Upload, settings: ServiceSettings) -> None:
        self._upload, self._settings = upload, settings
        self._headers: dict[bytes, bytes] = {}
        self._name, self._value = bytearray(), bytearray()
        self._out: BinaryIO | None = None
        self._path, self._file_name, self._field = Path(), "", ""
        self._hash, self._size, self._head = hashlib.sha256(), 0, b""
        self._text = bytearray()
        self._ended = False

    def callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._name.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._header,
            "on_headers_finished": self._open,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_end": self._last,
        }

    def close(self) -> None:
        if self._out is not None:
            self._out.close()
            self._out = None

    def finished(self) -> None:
        if not self._ended:
            raise ProblemError(400, "multipart", "the body ended in the middle of a part; send it whole")

    def _last(self) -> None:
        self._ended = True

    def _begin(self) -> None:
        self._headers = {}
        self._hash, self._size, self._head = hashlib.sha256(), 0, b""
        self._text.clear()

    def _header(self) -> None:
        self._headers[bytes(self._name).lower()] = bytes(self._value)
        self._name.clear()
        self._value.clear()

    def _open(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._field = _decoded(options.get(b"name", b""))
        if b"filename" not in options:
            return
        if self._field != "files":
            raise ProblemError(422, "usage", f"files go into the field `files`, not {self._field[:80]!r}")
        if len(self._upload.files) >= self._settings.max_files:
            raise ProblemError(413, "too-many-files", f"at most {self._settings.max_files} files a request")
        self._file_name = self._unique(_decoded(options[b"filename"]))
        self._path = self._upload.folder / f"{len(self._upload.files):06d}.part"
        self._out = self._path.open("xb")

    def _data(self, data: bytes, start: int, end: int) -> None:
        piece = memoryview(data)[start:end]
        if self._out is None:
            self._text += piece
            if len(self._text) > _MAX_FIELD:
                raise ProblemError(413, "too-large", f"a text field may hold {_MAX_FIELD} bytes")
            return
        self._size += len(piece)
        if self._size > self._settings.max_file_bytes:
            return  # the rest of it is read and dropped, so that the other files arrive
        if len(self._head) < _HEAD:
            self._head += bytes(piece[: _HEAD - len(self._head)])
        self._hash.update(piece)
        self._out.write(piece)

    def _end(self) -> None:
        if self._out is None:
            self._upload.fields[self._field[:100]] = self._text.decode("utf-8", "replace")
            return
        self.close()  # durable it becomes in the library, before anything is acknowledged
        refusal = self._refusal()
        if refusal is not None:
            self._path.unlink()
        else:
            ending = kind_of(self._head)
            self._path = self._path.rename(self._path.with_suffix(ending))
            if PurePosixPath(self._file_name).suffix.lower() not in _ENDINGS:
                self._file_name += ending
        self._upload.files.append(
            Received(self._path, self._file_name, self._hash.hexdigest(), self._size, refusal)
        )

    def _refusal(self) -> Failure | None:
        cap = self._settings.max_file_bytes
        if self._size > cap:
            return Failure("too_large", f"{self._file_name} is larger than {cap} bytes")
        if self._size == 0:
            return Failure("empty", f"{self._file_name} is empty")
        if not kind_of(self._head):
            kinds = "PDF, PNG, JPEG, TIFF or WebP"
            return Failure("unsupported", f"{self._file_name} is no {kinds}, to judge by its first bytes")
        return None

    def _unique(self, text: str) -> str:
        """A name that no other file of this request has: two folders may hold files of one name."""
        name, taken = safe_name(text), {file.name for file in self._upload.files}
        if name not in taken:
            return name
        stem, _, ending = name.rpartition(".")
        parent = safe_name(text.replace("\\", "/").rpartition("/")[0]) if "/" in text else ""
        tried = [f"{stem} ({parent}).{ending}"] if parent else []
        numbered = (f"{stem} ({number}).{ending}" for number in range(2, len(taken) + 3))
        return next(other for other in (*tried, *numbered) if other not in taken)


def kind_of(head: bytes) -> str:
    """The ending that a file's first bytes call for: `.pdf`, or an image's; empty for anything else."""
    if b"%PDF-" in head:
        return ".pdf"
    for magic, ending in _MAGIC:
        if head.startswith(magic):
            return ending
    return ".webp" if head[:4] == b"RIFF" and head[8:12] == b"WEBP" else ""


def safe_name(text: str) -> str:
    """A file's name to show and to search by; it is never used as a path.

    Keeps the last component, without control and direction characters, at most 200 characters long.
    """
    last = unicodedata.normalize("NFC", text).replace("\\", "/").rstrip("/").rpartition("/")[2]
    shown = "".join(c for c in last if not unicodedata.category(c).startswith("C"))
    stem, dot, ending = shown.strip(" .").rpartition(".")
    if not dot:
        return ending[:200] or "document.pdf"
    return f"{stem[:190]}.{ending[:9]}"


def _decoded(text: bytes) -> str:
    return text.decode("utf-8", "replace")
