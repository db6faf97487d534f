"""The first stage on disk: parts that are written once and never changed, and a stamp that names them.

A part is one file: scales (float32), codes (uint8), uids and bounds (int64), then the cells' codes as FAISS
writes them. Adding pages writes a new part and the stamp; small parts are joined by and by.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import faiss
import numpy as np

from domain.errors import StoreError
from retrieve.files import file_checksum, sealed, unsealed, write_file
from retrieve.first_stage import FirstStage, Part, as_cells
from retrieve.gathering import PageTable
from retrieve.maxsim import Quantised
from retrieve.merging import merge_cells

VERSION = 2
STAMP = "first-stage.json"
TIERS = ((8192, 8), (131_072, 4))
"""Below so many pages a part is small, and so many small ones may follow one another before they become one.

Opening keeps the first part's cells as they are and sorts the others' into them, at 40,000 pages a second of a core.
"""
AHEAD = 2
"""Parts that are read while another one's vectors are sorted into the cells."""


@dataclass(frozen=True, slots=True)
class PartEntry:
    """A part in the stamp."""

    name: str
    pages: int
    rows: int
    checksum: str


@dataclass(frozen=True, slots=True)
class Stamp:
    """What counts of the files of a first stage.

    Attributes:
        count: the largest number of vectors kept of a page.
        trained: how many pages there were when the cells were trained.
        next_part: what the next part is numbered.
        parts: oldest pages first; any other file is left over.
    """

    count: int
    trained: int
    next_part: int = 1
    parts: tuple[PartEntry, ...] = ()


def write_part(directory: Path, parts: Sequence[Part], number: int) -> PartEntry:
    """Write parts that follow one another as one, durably; it does not count until a stamp names it.

    The first one's index takes in the others', which are empty afterwards. Memory stays flat where parts are mapped.
    """
    directory.mkdir(exist_ok=True)
    path = directory / f"{number:08d}.part"
    table, index = parts[0].table, parts[0].index
    for part in parts[1:]:
        merge_cells(index, part.index)
        table = table.extended(part.table.pages, np.diff(part.table.bounds).tolist())

    def write(file: BinaryIO) -> None:
        arrays = (*(part.rows.scales for part in parts), *(part.rows.codes for part in parts))
        for array in (*arrays, table.pages, table.bounds):
            file.write(np.ascontiguousarray(array).data)
        file.write(faiss.serialize_index(index).data)

    write_file(path, write)
    return PartEntry(path.name, len(table.pages), int(table.bounds[-1]), file_checksum(path))


def read_part(directory: Path, entry: PartEntry, dim: int) -> Part:
    """Read a part whose checksum is right; its vectors in bytes stay on disk, mapped.

    Raises:
        StoreError: it is damaged.
        OSError: it is missing.
    """
    path = directory / entry.name
    # FAISS reads a damaged file without complaint: the checksum comes first
    if file_checksum(path) != entry.checksum:
        raise StoreError(f"{path} is damaged")
    data = np.memmap(path, dtype=np.uint8, mode="r")
    codes, uids = entry.rows * 4, entry.rows * (4 + dim)
    bounds = uids + entry.pages * 8
    end = bounds + (entry.pages + 1) * 8
    table = PageTable(
        np.frombuffer(data[uids:bounds].tobytes(), np.int64),
        np.frombuffer(data[bounds:end].tobytes(), np.int64),
    )
    rows = Quantised(data[codes:uids].reshape(entry.rows, dim), data[:codes].view(np.float32))
    index = as_cells(faiss.deserialize_index(np.array(data[end:])))
    if index.d != dim or index.ntotal != entry.rows or table.bounds[-1] != entry.rows:
        raise StoreError(f"{path} belongs to other vectors")
    return Part(index, table, rows)


def write_stamp(directory: Path, stamp: Stamp) -> None:
    """Let these parts count, and delete all others; readers that map them keep them."""
    fields = {"version": VERSION, **asdict(stamp)}
    write_file(directory / STAMP, lambda file: file.write(sealed(fields)))
    named = {STAMP, *(entry.name for entry in stamp.parts)}
    for path in directory.iterdir():
        if path.name not in named:
            path.unlink(missing_ok=True)


def read_stamp(directory: Path, *, count: int) -> Stamp:
    """Which parts count.

    Raises:
        StoreError: it is damaged, of another version or made with other options.
    """
    try:
        fields = unsealed((directory / STAMP).read_bytes())
        if fields.pop("version") != VERSION or fields["count"] != count:
            raise StoreError(f"the first stage in {directory} was made with other options")
        fields["parts"] = tuple(PartEntry(**entry) for entry in fields["parts"])
        return Stamp(**fields)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"the first stage in {directory} cannot be read: {error}") from error


def load(directory: Path, stamp: Stamp, *, dim: int) -> FirstStage:
    """Read every part.

    Raises:
        StoreError: a part is missing or damaged, or there is none.
    """
    first: FirstStage | None = None
    for part in _read_ahead(directory, stamp.parts, dim):
        if first is None:
            cells = as_cells(faiss.clone_index(part.index))
            cells.reset()
            first = FirstStage(cells, count=stamp.count, trained=stamp.trained)
        first.take(part)
    if first is None:
        raise StoreError(f"the first stage in {directory} has no parts")
    return first


def take_more(first: FirstStage, directory: Path, entries: Sequence[PartEntry], *, dim: int) -> None:
    """Add parts that were written since the others were read.

    Raises:
        StoreError: a part is missing or damaged.
    """
    for part in _read_ahead(directory, entries, dim):
        first.take(part)


def joined(directory: Path, stamp: Stamp, *, dim: int) -> Stamp:
    """Write small parts anew as one, where many follow one another at the end; the same stamp otherwise.

    Raises:
        StoreError: a part is missing or damaged.
    """
    for pages, most in TIERS:
        start = len(stamp.parts)
        while start and stamp.parts[start - 1].pages < pages:
            start -= 1
        if len(stamp.parts) - start > most:
            parts = list(_read_ahead(directory, stamp.parts[start:], dim))
            entry = write_part(directory, parts, stamp.next_part)
            stamp = Stamp(stamp.count, stamp.trained, stamp.next_part + 1, (*stamp.parts[:start], entry))
    return stamp


def _read_ahead(directory: Path, entries: Sequence[PartEntry], dim: int) -> Iterator[Part]:
    waiting: deque[Future[Part]] = deque()
    with ThreadPoolExecutor(AHEAD, "part") as pool:
        for entry in entries:
            waiting.append(pool.submit(_sound, directory, entry, dim))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _sound(directory: Path, entry: PartEntry, dim: int) -> Part:
    try:
        return read_part(directory, entry, dim)
    except (OSError, RuntimeError, ValueError) as error:
        raise StoreError(f"{directory / entry.name} cannot be read: {error}") from error
