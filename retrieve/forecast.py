"""What an index will take, before it is built."""

from retrieve.engine import EngineOptions, Sizes

SCALE_BYTES, BOX_BYTES, ID_BYTES = 4, 8, 8
TABLE_BYTES = 64
"""A page's line in the tables: its name, where it starts, its checksum."""


def forecast(pages: int, *, vectors_a_page: int, dim: int, options: EngineOptions | None = None) -> Sizes:
    """Bytes on disk and in memory of so many pages.

    Args:
        pages: how many.
        vectors_a_page: how many vectors the encoder gives a page, on average.
        dim: their width.
        options: how the engine will search.
    """
    options = options or EngineOptions()
    rows = pages * vectors_a_page
    disk = rows * (dim + SCALE_BYTES + BOX_BYTES) + pages * TABLE_BYTES
    memory = pages * TABLE_BYTES
    if rows > options.exact_rows:
        kept = pages * min(options.pooled, vectors_a_page)
        first = kept * (dim // 2 + ID_BYTES + dim + SCALE_BYTES)
        disk, memory = disk + first, memory + first + kept * ID_BYTES
    return Sizes(pages=pages, vectors=rows, disk_bytes=disk, memory_bytes=memory)
