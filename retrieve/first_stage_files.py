"""The first stage on disk: parts that are written once and never changed, and a stamp that names them.

The cells are one file: a trained, empty index as FAISS writes it. A part is another: scales (float32), codes (uint8),
uids and bounds (int64), then the filled cells. Adding pages writes a new part and the stamp; small parts are joined by
and by, and all of them when too much lies outside the first. Files are written and read piece by piece: at a million
pages one holds 13 GB.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import BinaryIO

import faiss
import numpy as np
from numpy.typing import NDArray

from domain.errors import StoreError
from retrieve.cells import as_cells, merge_cells
from retrieve.files import file_checksum, sealed, unsealed, write_file
from retrieve.first_stage import FirstStage
from retrieve.gathering import PageTable
from retrieve.maxsim import Quantised
from retrieve.parts import Part

VERSION = 4
STAMP = "first-stage.json"
SMALL = 8192
"""Below so many pages a part is small."""
FEW = 8
"""So many small parts may follow one another before they become one."""
LOOSE = 0.25
"""The share of pages outside the first part from which on all parts become one.

Opening keeps the first part's cells as they are and sorts the others' into them, at 40,000 pages a second of a core.
"""
AHEAD = 2
"""Parts that are read while another one's vectors are sorted into the cells."""


@dataclass(frozen=True, slots=True)
class PartEntry:
    """A part in the stamp: how many pages, vectors in bytes and vectors in cells it holds."""

    name: str
    pages: int
    rows: int
    sought: int
    checksum: str


@dataclass(frozen=True, slots=True)
class CellsEntry:
    """The cells in the stamp."""

    name: str
    checksum: str


@dataclass(frozen=True, slots=True)
class Stamp:
    """What counts of the files of a first stage.

    Attributes:
        count: the largest number of vectors kept of a page.
        trained: how many pages there were when the cells were trained.
        cells: the trained cells.
        next_part: what the next part is numbered.
        parts: oldest pages first; any other file is left over.
    """

    count: int
    trained: int
    cells: CellsEntry
    next_part: int = 1
    parts: tuple[PartEntry, ...] = ()

    def adding(self, entry: PartEntry, *, instead_of: int = 0) -> "Stamp":
        """With a part behind the others, or in place of the last few."""
        kept = self.parts[: len(self.parts) - instead_of]
        return replace(self, next_part=self.next_part + 1, parts=(*kept, entry))


def write_cells(directory: Path, cells: faiss.IndexIVF, number: int) -> CellsEntry:
    """Write trained, empty cells, durably; they do not count until a stamp names them."""
    directory.mkdir(exist_ok=True)
    path = directory / f"{number:08d}.cells"
    write_file(path, lambda file: _write_index(cells, file))
    return CellsEntry(path.name, file_checksum(path))


def write_part(directory: Path, parts: Sequence[Part], index: faiss.IndexIVF, number: int) -> PartEntry:
    """Write parts that follow one another as one, durably; it does not count until a stamp names it.

    Args:
        directory: where the first stage lies.
        parts: their tables and vectors in bytes; memory stays flat where these are mapped.
        index: the vectors of all of them in cells.
        number: what the new part is numbered.
    """
    path = directory / f"{number:08d}.part"
    table = parts[0].table
    for part in parts[1:]:
        table = table.extended(part.table.pages, np.diff(part.table.bounds))

    def write(file: BinaryIO) -> None:
        arrays = (*(part.rows.scales for part in parts), *(part.rows.codes for part in parts))
        for array in (*arrays, table.pages, table.bounds):
            file.write(np.ascontiguousarray(array).data)
        _write_index(index, file)

    write_file(path, write)
    return PartEntry(
        path.name, len(table.pages), int(table.bounds[-1]), int(index.ntotal), file_checksum(path)
    )


def read_part(directory: Path, entry: PartEntry, dim: int) -> Part:
    """Read a part whose checksum is right; its vectors in bytes stay on disk, mapped.

    Raises:
        StoreError: it is damaged.
        OSError: it is missing.
    """
    path = directory / entry.name
    _check(path, entry.checksum)
    table, rows, end = _mapped(path, entry, dim)
    with path.open("rb") as file:
        file.seek(end)
        index = _read_index(file)
    if index.d != dim or index.ntotal != entry.sought or table.bounds[-1] != entry.rows:
        raise StoreError(f"{path} belongs to other vectors")
    return Part(index, table, rows)


def write_stamp(directory: Path, stamp: Stamp) -> None:
    """Let these parts count, and delete all others; readers that map them keep them."""
    fields = {"version": VERSION, **asdict(stamp)}
    write_file(directory / STAMP, lambda file: file.write(sealed(fields)))
    named = {STAMP, stamp.cells.name, *(entry.name for entry in stamp.parts)}
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
        fields["cells"] = CellsEntry(**fields["cells"])
        fields["parts"] = tuple(PartEntry(**entry) for entry in fields["parts"])
        return Stamp(**fields)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"the first stage in {directory} cannot be read: {error}") from error


def load(directory: Path, stamp: Stamp, *, dim: int) -> FirstStage:
    """Read the cells and every part.

    Raises:
        StoreError: a file is missing or damaged.
    """
    path = directory / stamp.cells.name
    with _readable(path):
        _check(path, stamp.cells.checksum)
        with path.open("rb") as file:
            cells = _read_index(file)
    first = FirstStage(cells, count=stamp.count, trained=stamp.trained)
    take_more(first, directory, stamp.parts, dim=dim)
    return first


def take_more(first: FirstStage, directory: Path, entries: Sequence[PartEntry], *, dim: int) -> None:
    """Add parts that were written since the others were read.

    Raises:
        StoreError: a part is missing or damaged.
    """
    for part in _read_ahead(directory, entries, dim):
        first.take(part)


def joined(first: FirstStage, directory: Path, stamp: Stamp, *, dim: int) -> Stamp:
    """Write parts anew as one: all of them where many pages lie outside the first, or the many small ones at the end.

    All of them are written from what `first` holds, which maps the new file from then on.

    Raises:
        StoreError: a part is missing or damaged.
    """
    pages = [entry.pages for entry in stamp.parts]
    if sum(pages[1:]) > LOOSE * sum(pages):
        entry = write_part(directory, first.parts, first.index, stamp.next_part)
        table, rows, _ = _mapped(directory / entry.name, entry, dim)
        first.join(table, rows)
        return stamp.adding(entry, instead_of=len(pages))
    small = len(list(takewhile(lambda count: count < SMALL, reversed(pages))))
    if small <= FEW:
        return stamp
    parts = list(_read_ahead(directory, stamp.parts[-small:], dim))
    for part in parts[1:]:
        merge_cells(parts[0].index, part.index)
    return stamp.adding(write_part(directory, parts, parts[0].index, stamp.next_part), instead_of=small)


def _read_ahead(directory: Path, entries: Sequence[PartEntry], dim: int) -> Iterator[Part]:
    waiting: deque[Future[Part]] = deque()
    with ThreadPoolExecutor(AHEAD, "part") as pool:
        for entry in entries:
            waiting.append(pool.submit(_sound, directory, entry, dim))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _write_index(index: faiss.IndexIVF, file: BinaryIO) -> None:
    faiss.write_index(index, faiss.PyCallbackIOWriter(file.write))  # type: ignore[attr-defined]  # faiss's types lack it


def _read_index(file: BinaryIO) -> faiss.IndexIVF:
    return as_cells(faiss.read_index(faiss.PyCallbackIOReader(file.read)))  # type: ignore[attr-defined]  # faiss's types lack it


def _check(path: Path, checksum: str) -> None:
    # FAISS reads a damaged file without complaint: the checksum comes first
    if file_checksum(path) != checksum:
        raise StoreError(f"{path} is damaged")


def _mapped(path: Path, entry: PartEntry, dim: int) -> tuple[PageTable, Quantised, int]:
    """A part's table, its vectors in bytes, mapped, and where its cells begin."""
    data: NDArray[np.uint8] = np.memmap(path, dtype=np.uint8, mode="r")
    codes, uids = entry.rows * 4, entry.rows * (4 + dim)
    bounds = uids + entry.pages * 8
    end = bounds + (entry.pages + 1) * 8
    table = PageTable(
        np.frombuffer(data[uids:bounds].tobytes(), np.int64),
        np.frombuffer(data[bounds:end].tobytes(), np.int64),
    )
    rows = Quantised(data[codes:uids].reshape(entry.rows, dim), data[:codes].view(np.float32))
    return table, rows, end


def _sound(directory: Path, entry: PartEntry, dim: int) -> Part:
    with _readable(directory / entry.name):
        return read_part(directory, entry, dim)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Name the file that cannot be read."""
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        raise StoreError(f"{path} cannot be read: {error}") from error
