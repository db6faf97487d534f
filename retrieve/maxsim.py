"""Late interaction: each query token's best inner product with a page, weighted and summed."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from domain.errors import UsageError
from retrieve.encoder import Floats, Vectors

Codes = NDArray[np.int8]
Bounds = NDArray[np.int64]

BLOCK_ROWS = 8192
"""Page vectors multiplied at a time: the products of a block stay in the processor's cache."""


@dataclass(frozen=True, slots=True, eq=False)
class Quantised:
    """Unit vectors in one byte a dimension.

    Attributes:
        codes: (n, dim) int8 in [-127, 127].
        scales: (n,) float32; `codes * scales[:, None]` is the vector again, up to half a step.
    """

    codes: Codes
    scales: Floats

    @property
    def rows(self) -> Floats:
        """The vectors, (n, dim) float32."""
        restored: Floats = self.codes.astype(np.float32) * self.scales[:, None]
        return restored


def quantised(rows: Floats) -> Quantised:
    """Round each row to int8 with a scale of its own.

    Raises:
        UsageError: a value is not finite.
    """
    if not np.isfinite(rows).all():
        raise UsageError("a vector holds a value that is not finite; the encoder is broken or overflowed")
    peaks = np.abs(rows).max(axis=1, initial=0.0)
    scales = np.where(peaks > 0, peaks / 127.0, 1.0).astype(np.float32)
    codes = np.rint(rows / scales[:, None]).clip(-127, 127).astype(np.int8)
    return Quantised(codes, scales)


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


class Scorer:
    """One query, ready to be compared with any number of quantised pages.

    Query and pages meet as integers, so that a page's score is the same alone and in company, on every
    machine and number of threads.
    """

    def __init__(self, query: Vectors) -> None:
        """Quantise the query.

        Raises:
            UsageError: the query has no rows, or its weights do not fit.
        """
        if not len(query.rows):
            raise UsageError("the query has no vectors; the encoder must give at least one")
        own = quantised(query.rows)
        self.width = query.rows.shape[1]
        self._count = len(own.codes)
        self._factors = own.scales.astype(np.float64) * token_weights(query.rows, query.weights)
        padded = np.zeros((-(-self._count // 8) * 8, self.width), dtype=np.int8)
        padded[: self._count] = own.codes  # the integer product wants a multiple of eight columns
        self._codes = torch.from_numpy(padded).t()

    def scores(self, codes: Codes, scales: Floats, bounds: Bounds) -> NDArray[np.float64]:
        """Score pages that stand one after another.

        Args:
            codes: (n, dim) int8, the vectors of all pages.
            scales: (n,) float32.
            bounds: (pages + 1,) first row of each page, then the end; no page is empty.

        Returns:
            (pages,) float64, in order.
        """
        found = np.empty(len(bounds) - 1)
        first = 0
        while first < len(found):
            limit = bounds[first] + BLOCK_ROWS
            last = max(first + 1, int(np.searchsorted(bounds, limit, side="right")) - 1)
            rows = slice(int(bounds[first]), int(bounds[last]))
            best = self._best(codes[rows], scales[rows], bounds[first:last] - bounds[first])
            # a sum in one fixed order: a matrix product may reorder it with the batch
            found[first:last] = (best * self._factors).sum(axis=1)
            first = last
        return found

    def _best(self, codes: Codes, scales: Floats, starts: Bounds) -> NDArray[np.float64]:
        products = self.products(codes) * scales[:, None]
        return np.maximum.reduceat(products, starts, axis=0).astype(np.float64)

    def products(self, codes: Codes) -> NDArray[np.int32]:
        """Inner products of page codes with query codes, (n, q) int32."""
        page = torch.from_numpy(np.ascontiguousarray(codes))
        short = 17 - len(page)
        if short > 0:  # the integer product refuses fewer than 17 rows
            page = torch.nn.functional.pad(page, (0, 0, 0, short))
        product: NDArray[np.int32] = torch._int_mm(page, self._codes).numpy()  # noqa: SLF001 - torch's only int8 product
        return product[: len(codes), : self._count]
