"""What a first stage consists of: parts that never change, and which of their pages may be found."""

from dataclasses import dataclass
from functools import cached_property

import faiss
import numpy as np
from numpy.typing import NDArray

from retrieve.gathering import PageTable, Uids
from retrieve.maxsim import Quantised

SELECT = 0.7
"""The share of pages that may be found below which FAISS is told which."""


@dataclass(frozen=True, eq=False)
class Part:
    """Some pages, one after another: what is written at once and never changed.

    Attributes:
        index: the first of their pooled vectors in the cells of the whole, each under its page's uid.
        table: which pooled vectors are whose, counted from 0.
        rows: all pooled vectors, in bytes.
    """

    index: faiss.IndexIVF
    table: PageTable
    rows: Quantised


@dataclass(frozen=True, eq=False)
class View:
    """What is known at a moment; replaced as a whole, so that a search sees one state.

    Attributes:
        pages: every page's uid, ascending.
        parts: what holds them.
        firsts: the place in `pages` of each part's first page.
    """

    pages: Uids
    parts: tuple[Part, ...]
    firsts: Uids


@dataclass(frozen=True, eq=False)
class Alive:
    """Which of the pages known at a moment may be found.

    Attributes:
        mask: (pages,) bool.
        count: how many.
    """

    view: View
    mask: NDArray[np.bool_]
    count: int

    @cached_property
    def selector(self) -> faiss.IDSelector | None:
        """Tells FAISS which pages may be found, where that is worth it."""
        if self.count >= SELECT * len(self.mask):
            return None
        uids = self.view.pages[self.mask]
        allowed = np.zeros(int(uids[-1]) + 1, dtype=bool)
        allowed[uids] = True
        return faiss.IDSelectorBitmap(np.packbits(allowed, bitorder="little"))  # type: ignore[call-arg, arg-type]  # faiss takes arrays in Python

    @property
    def covered(self) -> int:
        """The newest page known at that moment; 0 when there is none."""
        pages = self.view.pages
        return int(pages[-1]) if len(pages) else 0
