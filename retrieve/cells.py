"""Cells of FAISS: indexes of the same ones are joined, around a fault of FAISS that damages memory."""

from typing import Any

import faiss
import numpy as np


def as_cells(index: faiss.Index) -> faiss.IndexIVF:
    """An index whose kind FAISS forgot to say.

    Raises:
        ValueError: it has no cells.
    """
    if not isinstance(index, faiss.IndexIVF):
        raise ValueError(f"an index of cells was expected, not {type(index).__name__}")
    return index


def merge_cells(index: faiss.IndexIVF, other: faiss.IndexIVF) -> None:
    """Move everything of `other` into `index`, whose cells are the same; `other` is empty afterwards.

    FAISS (1.15.1) appends packed codes (`x4fs`) to a cell that holds a multiple of `block_size` of them at a wrong
    address, and writes over other memory (BlockInvertedLists::add_entries multiplies by a code size that is not set).
    Such cells are filled here: they end with a full block, so that the other's blocks follow as they are.
    """
    own, more = (faiss.downcast_InvertedLists(one.invlists) for one in (index, other))  # type: ignore[arg-type]  # both are filled
    if isinstance(own, faiss.BlockInvertedLists):  # type: ignore[attr-defined]  # faiss's types lack it
        for cell in range(own.nlist):
            if own.list_size(cell) and own.list_size(cell) % own.block_size == 0 and more.list_size(cell):
                _append(own, more, cell)
    index.merge_from(other, 0)


def _append(own: Any, more: Any, cell: int) -> None:  # faiss's types lack BlockInvertedLists
    before, added = own.list_size(cell), more.list_size(cell)
    blocks = -(-added // own.n_per_block)
    codes = np.copy(faiss.rev_swig_ptr(more.get_codes(cell), blocks * own.block_size))
    ids = np.copy(faiss.rev_swig_ptr(more.get_ids(cell), added))
    own.resize(cell, before + added)
    start = before // own.n_per_block * own.block_size
    faiss.rev_swig_ptr(own.get_codes(cell), start + len(codes))[start:] = codes
    faiss.rev_swig_ptr(own.get_ids(cell), before + added)[before:] = ids
    more.resize(cell, 0)
