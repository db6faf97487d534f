"""What a file is, by its first and last bytes, before anything parses it."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from domain.errors import DocumentError
from ingest.limits import Limits

Kind = Literal["pdf", "image"]

_LOOK = 64 * 1024
_IMAGES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_OTHERS = (
    (b"PK\x03\x04", "a ZIP archive or an Office document; export it as PDF"),
    (b"\xd0\xcf\x11\xe0", "an old Office document; export it as PDF"),
    (b"{\\rtf", "a rich-text document; export it as PDF"),
    (b"GIF8", "a GIF image; convert it to PNG"),
    (b"BM", "a BMP image; convert it to PNG"),
    (b"\x1f\x8b", "a gzip archive; unpack it first"),
    (b"7z\xbc\xaf", "a 7z archive; unpack it first"),
    (b"%!PS", "a PostScript file; convert it with ps2pdf"),
    (b"AT&TFORM", "a DjVu document; convert it with ddjvu -format=pdf"),
)


@dataclass(frozen=True, slots=True)
class Sniffed:
    """What kind of document a file is, and a mark that changes when the file does."""

    kind: Kind
    version: str


def sniff(path: Path, limits: Limits) -> Sniffed:
    """Tell PDF from image from neither.

    Raises:
        DocumentError: the file cannot be read, is empty or too large, or is neither PDF nor a known image.
    """
    try:
        file = open(path, "rb", opener=_without_waiting)  # noqa: SIM115  Path.open takes no opener
    except (OSError, ValueError) as error:
        raise DocumentError("unreadable", _unreadable(path, error)) from error
    with file:
        about = os.fstat(file.fileno())
        _check(path, about, limits)
        head = file.read(_LOOK)
        file.seek(max(0, about.st_size - _LOOK))
        tail = file.read(_LOOK)
    version = f"{about.st_dev}-{about.st_ino}-{about.st_size}-{about.st_mtime_ns}"
    return Sniffed(_kind(path, head, tail), version)


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a named pipe would wait for a writer


def _check(path: Path, about: os.stat_result, limits: Limits) -> None:
    if not stat.S_ISREG(about.st_mode):
        raise DocumentError("unreadable", f"{path} is not a regular file; copy its content into one")
    if about.st_size == 0:
        raise DocumentError("empty", f"{path} has no bytes; get the file again from its source")
    if about.st_size > limits.max_bytes:
        raise DocumentError(
            "too_large",
            f"{path} has {about.st_size:,} bytes, more than {limits.max_bytes:,}; "
            "split it or raise the limit",
        )


def _unreadable(path: Path, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return f"{path} does not exist; check the name"
    if isinstance(error, IsADirectoryError):
        return f"{path} is a folder; give the files in it"
    if isinstance(error, PermissionError):
        return f"{path} may not be read by this user; change its permissions"
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return f"{str(path)!r} cannot be opened: {reason}; check the path"


def _kind(path: Path, head: bytes, tail: bytes) -> Kind:
    if head.startswith(_IMAGES) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return "image"
    if b"%PDF-" in head[:1024]:
        return "pdf"
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1024]
    for magic, what in _OTHERS:
        if start.startswith(magic):
            raise DocumentError("unsupported", f"{path} is {what}")
    if start[:1] == b"<":
        what = "an HTML page" if b"<html" in head.lower() else "an XML or HTML file"
        raise DocumentError("unsupported", f"{path} is {what}, whatever its name says; print it to PDF")
    if b"%PDF-" in head or b"startxref" in tail or b"/Type/Catalog" in head:
        return "pdf"
    what = "a text file" if _is_text(head) else "a file of unknown type"
    raise DocumentError(
        "unsupported", f"{path} is {what}, not a PDF, PNG, JPEG, TIFF or WebP; convert it to PDF"
    )


def _is_text(head: bytes) -> bool:
    return not any(byte < 9 or 13 < byte < 27 for byte in head)
