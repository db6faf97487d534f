"""One immutable file of page vectors, memory-mapped: the vectors' truth.

Layout, little-endian, each part on a multiple of 64 bytes:

    header   magic, rows, pages, dim, where the table starts, its length, its checksum, the header's own
    codes    rows x dim x uint8 or float16     scales   rows x float32     boxes   rows x 4 uint16
    table    bounds (pages + 1) int64, uids int64, checksums uint64, flags uint8, ids joined by newlines

Opening checks header, length and table. A page's vectors are checked against the page's own checksum when
they are first read in this process, so that opening is quick and a flipped bit is never served.
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import xxhash
from numpy.typing import NDArray

from domain.errors import StoreError
from domain.page import PageId, document_of
from retrieve.encoder import Floats, Vectors
from retrieve.files import write_file
from retrieve.maxsim import Kind, Stored, quantised, restored

MAGICS: dict[Kind, bytes] = {"int8": b"RECTOTK1", "float16": b"RECTOTH1"}
TYPES: dict[Kind, np.dtype[Any]] = {"int8": np.dtype(np.uint8), "float16": np.dtype(np.float16)}
HEADER = struct.Struct("<8sQQQQQQ")
ALIGN = 64
BOX_STEPS = 65535.0
HAS_BOXES = 1


@dataclass(frozen=True, slots=True, eq=False)
class PageRecord:
    """A page's vectors as they stand in a segment.

    Attributes:
        uid: grows with every page ever added to a store: the newer of two is the page's truth.
        codes: (n, dim) and scales: (n,) as in `retrieve.maxsim.Quantised`.
        boxes: (n, 4) uint16 in 65535ths of the page; None where the encoder gave none.
    """

    page: PageId
    uid: int
    codes: Stored
    scales: Floats
    boxes: NDArray[np.uint16] | None

    @classmethod
    def of(cls, page: PageId, uid: int, vectors: Vectors, kind: Kind) -> "PageRecord":
        """Round a page's vectors to what is stored."""
        own = quantised(vectors.rows, kind)
        boxes = None
        if vectors.boxes is not None:
            boxes = np.rint(vectors.boxes.clip(0, 1) * BOX_STEPS).astype(np.uint16)
        return cls(page, uid, own.codes, own.scales, boxes)

    @property
    def vectors(self) -> Vectors:
        """The vectors as an encoder gives them, rounded."""
        rows = restored(self.codes, self.scales)
        boxes = None if self.boxes is None else (self.boxes / np.float32(BOX_STEPS)).astype(np.float32)
        return Vectors(rows, boxes)


def write_segment(path: Path, records: Sequence[PageRecord], *, dim: int, kind: Kind) -> None:
    """Write pages, none of them empty, into one durable file; memory stays flat."""
    bounds = np.zeros(len(records) + 1, dtype=np.int64)
    np.cumsum([len(record.codes) for record in records], out=bounds[1:])
    table = b"".join((
        bounds.tobytes(),
        np.array([record.uid for record in records], dtype=np.int64).tobytes(),
        np.array([_checksum(record) for record in records], dtype=np.uint64).tobytes(),
        np.array([record.boxes is not None for record in records], dtype=np.uint8).tobytes(),
        "\n".join(record.page for record in records).encode(),
    ))  # fmt: skip
    layout = _Layout(int(bounds[-1]), dim, kind)

    def write(file: BinaryIO) -> None:
        file.write(_header(layout, len(records), table))
        for start, parts in (
            (layout.codes, (record.codes for record in records)),
            (layout.scales, (record.scales for record in records)),
            (layout.boxes, (_boxes(record) for record in records)),
        ):
            _write_at(file, start, parts)
        file.write(bytes(layout.table - file.tell()))
        file.write(table)

    write_file(path, write)


class Segment:
    """A segment, open for reading. It may be read while its file is removed by a merge."""

    def __init__(self, path: Path, *, dim: int, kind: Kind = "int8") -> None:
        """Map the file and check its header, length and table.

        Raises:
            StoreError: the file is missing, cut, damaged, or of another width or kind of number.
        """
        self.path = path
        rows, pages, table = _opened(path, dim, kind)
        layout = _Layout(rows, dim, kind)
        self.bytes = layout.table + len(table)
        data = np.memmap(path, dtype=np.uint8, mode="r")
        codes = data[layout.codes :][: rows * dim * TYPES[kind].itemsize]
        self.codes: Stored = codes.view(TYPES[kind]).reshape(rows, dim)
        self.scales: Floats = data[layout.scales :][: rows * 4].view(np.float32)
        self._boxes: NDArray[np.uint16] = data[layout.boxes :][: rows * 8].view(np.uint16).reshape(rows, 4)
        ints = np.frombuffer(table, dtype=np.int64, count=2 * pages + 1)
        self.bounds: NDArray[np.int64] = ints[: pages + 1]
        self.uids: NDArray[np.int64] = ints[pages + 1 :]
        at = ints.nbytes
        self._sums = np.frombuffer(table, dtype=np.uint64, count=pages, offset=at)
        self._flags = np.frombuffer(table, dtype=np.uint8, count=pages, offset=at + 8 * pages)
        self.pages: tuple[PageId, ...] = tuple(table[at + 9 * pages :].decode().split("\n")) if pages else ()
        self._sound = np.zeros(pages, dtype=bool)

    @cached_property
    def ordinals(self) -> dict[PageId, int]:
        """Where each page stands in the segment, removed ones too."""
        return {page: ordinal for ordinal, page in enumerate(self.pages)}

    @cached_property
    def documents(self) -> dict[str, list[int]]:
        """Where the pages of each document stand in the segment."""
        found: dict[str, list[int]] = {}
        for ordinal, page in enumerate(self.pages):
            found.setdefault(document_of(page), []).append(ordinal)
        return found

    def record(self, ordinal: int) -> PageRecord:
        """A page's vectors, as views of the mapped file; `damaged` tells whether they can be trusted."""
        rows = slice(int(self.bounds[ordinal]), int(self.bounds[ordinal + 1]))
        boxes = self._boxes[rows] if self._flags[ordinal] & HAS_BOXES else None
        return PageRecord(
            self.pages[ordinal], int(self.uids[ordinal]), self.codes[rows], self.scales[rows], boxes
        )

    def damaged(self, ordinals: NDArray[np.int64], *, again: bool = False) -> tuple[int, ...]:
        """Which of these pages differ from their checksum; `again` reads even those found sound before."""
        bad = []
        for ordinal in (ordinals if again else ordinals[~self._sound[ordinals]]).tolist():
            sound = _checksum(self.record(ordinal)) == int(self._sums[ordinal])
            self._sound[ordinal] = sound
            if not sound:
                bad.append(ordinal)
        return tuple(bad)


class _Layout:
    """Where the parts of a segment start."""

    def __init__(self, rows: int, dim: int, kind: Kind) -> None:
        self.rows, self.dim, self.magic = rows, dim, MAGICS[kind]
        self.codes = ALIGN * 2
        self.scales = _aligned(self.codes + rows * dim * TYPES[kind].itemsize)
        self.boxes = _aligned(self.scales + rows * 4)
        self.table = _aligned(self.boxes + rows * 8)


def _aligned(position: int) -> int:
    return -(-position // ALIGN) * ALIGN


def _header(layout: _Layout, pages: int, table: bytes) -> bytes:
    body = HEADER.pack(
        layout.magic,
        layout.rows,
        pages,
        layout.dim,
        layout.table,
        len(table),
        xxhash.xxh3_64_intdigest(table),
    )
    return body + struct.pack("<Q", xxhash.xxh3_64_intdigest(body))


def _opened(path: Path, dim: int, kind: Kind) -> tuple[int, int, bytes]:
    try:
        with path.open("rb") as file:
            body = file.read(HEADER.size)
            own = file.read(8)
            if len(own) < 8 or struct.unpack("<Q", own)[0] != xxhash.xxh3_64_intdigest(body):
                raise StoreError(f"the header of {path} is damaged")
            magic, rows, pages, width, start, length, checksum = HEADER.unpack(body)
            if magic != MAGICS[kind] or width != dim:
                raise StoreError(
                    f"{path} is of another version, width ({width}, expected {dim}) or kind of number"
                )
            file.seek(start)
            table = file.read()
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error}") from error
    if len(table) != length or xxhash.xxh3_64_intdigest(table) != checksum:
        raise StoreError(f"{path} is cut short or its table is damaged")
    return rows, pages, table


def _boxes(record: PageRecord) -> NDArray[np.uint16]:
    if record.boxes is None:
        return np.zeros((len(record.codes), 4), dtype=np.uint16)
    return record.boxes


def _checksum(record: PageRecord) -> int:
    digest = xxhash.xxh3_64()
    for part in (record.codes, record.scales, _boxes(record)):
        digest.update(np.ascontiguousarray(part).data)
    return digest.intdigest()


def _write_at(file: BinaryIO, start: int, parts: Iterable[NDArray[np.generic]]) -> None:
    file.write(bytes(start - file.tell()))
    for part in parts:
        file.write(np.ascontiguousarray(part).data)
