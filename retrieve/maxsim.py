"""Late interaction: each query token's best inner product with a page, weighted and summed."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from domain.errors import UsageError
from retrieve.crew import crew
from retrieve.encoder import Floats, Vectors
from retrieve.native import Codes, Spans, kernel

Halves = NDArray[np.float16]
Stored = Codes | Halves
"""Vectors as they are kept: a byte or a half-precision number a dimension."""
Products = NDArray[np.float32] | NDArray[np.float64]
Kind = Literal["int8", "float16"]

BLOCK_ROWS = 4096
"""Page vectors multiplied at a time in torch: the products of a block stay in the processor's cache."""
EXACT_DIM = 2**24 // 127**2
"""Up to this width a sum of products of bytes is a whole number that float32 holds."""
SHARE_ROWS = 16384
"""Page vectors in a piece of work at least: a second thread has to be worth its start."""
PIECES = 4
"""Pieces of work by thread at most: one that lost its core for a while leaves the rest to the others."""


@dataclass(frozen=True, slots=True, eq=False)
class Quantised:
    """Unit vectors in one or two bytes a dimension.

    Attributes:
        codes: (n, dim) uint8 from 1 to 255, where 128 stands for 0; or float16, the numbers themselves.
        scales: (n,) float32; `(codes - 128) * scales` is the vector again, up to half a step; 1 for float16.
    """

    codes: Stored
    scales: Floats

    @property
    def rows(self) -> Floats:
        """The vectors, (n, dim) float32."""
        return restored(self.codes, self.scales)


def quantised(rows: Floats, kind: Kind = "int8") -> Quantised:
    """Round each row to a byte a dimension with a scale of its own, or to half precision.

    Raises:
        UsageError: a value is not finite.
    """
    if not np.isfinite(rows).all():
        raise UsageError("a vector holds a value that is not finite; the encoder is broken or overflowed")
    if kind == "float16":
        return Quantised(rows.astype(np.float16), np.ones(len(rows), dtype=np.float32))
    peaks = np.abs(rows).max(axis=1, initial=0.0)
    scales = np.where(peaks > 0, peaks / 127.0, 1.0).astype(np.float32)
    codes = np.rint(rows / scales[:, None]).clip(-127, 127) + 128
    return Quantised(codes.astype(np.uint8), scales)


def stacked(parts: Sequence[Quantised]) -> Quantised:
    """One below the other; all of one kind."""
    codes: Stored = np.concatenate([part.codes for part in parts])
    return Quantised(codes, np.concatenate([part.scales for part in parts]))


def restored(codes: Stored, scales: Floats) -> Floats:
    """The vectors that quantised codes stand for, (n, dim) float32."""
    rows: Floats = codes.astype(np.float32)
    return rows if codes.dtype == np.float16 else (rows - 128) * scales[:, None]


def late_interaction(query: Floats, page: Floats, weights: Floats | None = None) -> float:
    """Sum, over query tokens, the best inner product with any page token: the definition.

    Args:
        query: (q, dim) float32, unit rows.
        page: (p, dim) float32, unit rows; no padding.
        weights: (q,) float32, how much each query token counts; all 1 when absent.

    Returns:
        A score; it depends on this pair alone, never on a batch.

    Raises:
        UsageError: either has no rows, or the widths differ.

    Source: Khattab & Zaharia, SIGIR 2020, eq. 3.
    """
    if not len(query) or not len(page) or query.shape[1] != page.shape[1]:
        raise UsageError(f"cannot compare vectors of shapes {query.shape} and {page.shape}")
    best = (query.astype(np.float64) @ page.astype(np.float64).T).max(axis=1)
    return float(best @ token_weights(query, weights))


def token_weights(query: Floats, weights: Floats | None) -> NDArray[np.float64]:
    """The weight of each query row as float64, (q,).

    Raises:
        UsageError: there is not one finite weight for each row.
    """
    if weights is None:
        return np.ones(len(query))
    if len(weights) != len(query) or not np.isfinite(weights).all():
        raise UsageError(f"{len(query)} query tokens need as many finite weights, not {weights!r}")
    return weights.astype(np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Operand:
    """A query as it meets stored vectors.

    Attributes:
        rows: (q, dim) int8 to meet bytes, float64 in steps of 2^-24 to meet half precision.
        factors: (q,) float64, what a token's best product is multiplied by in a page's score.
    """

    rows: NDArray[np.int8] | NDArray[np.float64]
    factors: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Lot:
    """Pages whose vectors lie in one array.

    Attributes:
        codes: (n, dim), the vectors.
        scales: (n,) float32.
        spans: (2, pages) int64, the first row of each page and the row after its last; none is empty.
    """

    codes: Stored
    scales: Floats
    spans: Spans


class Scorer:
    """One query, ready to be compared with any number of stored pages.

    Every product is exact: bytes meet as integers; half-precision numbers are whole multiples of 2^-24, and so
    is the query then, so that a sum of products of unit vectors fits into a float64. That is why a page's score
    is the same alone and in company, with and without the compiled kernel, on any device, with any threads.
    """

    def __init__(self, query: Vectors, *, compiled: bool = True) -> None:
        """Round the query; `compiled` allows the kernel.

        Raises:
            UsageError: the query has no rows, or its weights do not fit.
        """
        if not len(query.rows):
            raise UsageError("the query has no vectors; the encoder must give at least one")
        self.query = query
        self.width = query.rows.shape[1]
        self._weights = token_weights(query.rows, query.weights)
        own = quantised(query.rows)
        self._bytes = Operand(
            (own.codes.astype(np.uint8) ^ 0x80).view(np.int8), own.scales.astype(np.float64) * self._weights
        )
        self._kernel = kernel() if compiled else None
        self._packed = self._kernel.pack(self._bytes.rows.astype(np.int8)) if self._kernel else None

    @cached_property
    def _numbers(self) -> Operand:
        return Operand(np.rint(self.query.rows.astype(np.float64) * 2.0**24) * 2.0**-24, self._weights)

    def operand(self, stored: np.dtype[np.generic]) -> Operand:
        """The query in the form that meets vectors stored so."""
        return self._numbers if stored == np.float16 else self._bytes

    def scores(self, codes: Stored, scales: Floats, spans: Spans) -> NDArray[np.float64]:
        """Score pages.

        Args:
            codes: (n, dim), the vectors in which the pages lie.
            scales: (n,) float32.
            spans: (2, pages) int64, the first row of each page and the row after its last; none is empty.

        Returns:
            (pages,) float64, in order.
        """
        return self.scores_of([Lot(codes, scales, spans)])

    def scores_at(self, places: Sequence[NDArray[np.int64]], lots: Sequence[Lot]) -> NDArray[np.float64]:
        """Score the pages of several lots, (pages,) float64: the answer has those of a lot at its places."""
        scores = np.empty(sum(len(own) for own in places))
        scores[np.concatenate(places)] = self.scores_of(lots)
        return scores

    def scores_of(self, lots: Sequence[Lot]) -> NDArray[np.float64]:
        """Score the pages of several lots, (pages,) float64: those of the first, then those of the next."""
        lots = [lot for lot in lots if lot.spans.shape[1]]
        rows = [int((lot.spans[1] - lot.spans[0]).sum()) for lot in lots]
        threads = torch.get_num_threads()
        most = max(SHARE_ROWS, sum(rows) // (threads * PIECES))
        pieces = [
            Lot(lot.codes, lot.scales, np.ascontiguousarray(spans))
            for lot, count in zip(lots, rows, strict=True)
            for spans in np.array_split(lot.spans, -(-count // most), axis=1)
            if spans.shape[1]
        ]
        found = crew().each(self._piece, pieces) if len(pieces) > 1 else map(self._piece, pieces)
        return np.concatenate([np.zeros(0), *found])

    def _piece(self, lot: Lot) -> NDArray[np.float64]:
        return self.totals(self._best(lot.codes, lot.scales, lot.spans), lot.codes.dtype)

    def totals(self, best: Products, stored: np.dtype[np.generic]) -> NDArray[np.float64]:
        """Join the best products, (pages, q), of pages stored so into scores, (pages,)."""
        # summed token after token: a matrix product may choose another order for another number of pages
        total: NDArray[np.float64] = np.cumsum(best * self.operand(stored).factors, axis=1)[:, -1]
        return total

    def _best(self, codes: Stored, scales: Floats, spans: Spans) -> Products:
        if codes.dtype == np.uint8 and self._kernel is not None and self._packed is not None:
            return self._kernel.best(self._packed, codes.view(np.uint8), scales, spans)
        return self._multiplied(codes, scales, spans)

    def _multiplied(self, codes: Stored, scales: Floats, spans: Spans) -> Products:
        lengths = spans[1] - spans[0]
        ends = np.cumsum(lengths)
        found, first = [], 0
        while first < len(lengths):
            before = int(ends[first - 1]) if first else 0
            last = max(first + 1, int(np.searchsorted(ends, before + BLOCK_ROWS, side="right")))
            rows = np.concatenate([np.arange(a, b) for a, b in spans[:, first:last].T])
            starts = np.concatenate([[0], np.cumsum(lengths[first : last - 1])])
            found.append(np.maximum.reduceat(self._products(codes[rows], scales[rows, None]), starts, axis=0))
            first = last
        return np.concatenate(found)

    def _products(self, codes: Stored, scales: Floats) -> Products:
        own = torch.from_numpy(self.operand(codes.dtype).rows).t()
        if codes.dtype == np.float16:
            numbers: Products = (torch.from_numpy(codes).double() @ own).numpy()
            return numbers
        # torch's product of bytes is slower than this wherever the kernel is missing for want of VNNI
        exact = torch.float32 if codes.shape[1] <= EXACT_DIM else torch.float64
        page = torch.from_numpy(codes.view(np.uint8)).to(exact) - 128
        whole: Floats = (page @ own.to(exact)).float().numpy()
        return whole * scales
