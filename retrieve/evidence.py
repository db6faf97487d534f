"""Why a page was found: where on it each query token matched best."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from domain.errors import UsageError
from domain.page import Box
from retrieve.encoder import Vectors
from retrieve.maxsim import token_weights


@dataclass(frozen=True, slots=True)
class Spot:
    """A place on the page, the query token it matched best, and the similarity in [-1, 1]."""

    box: Box
    token: str
    similarity: float


def similarities(query: Vectors, page: Vectors) -> NDArray[np.float32]:
    """The inner product of each query token with each page vector, (q, p) float32.

    Raises:
        UsageError: the widths differ.
    """
    if query.rows.shape[1] != page.rows.shape[1]:
        raise UsageError(f"cannot compare vectors of shapes {query.rows.shape} and {page.rows.shape}")
    product: NDArray[np.float32] = query.rows @ page.rows.T
    return product


def hottest(query: Vectors, page: Vectors, *, limit: int | None = 12) -> tuple[Spot, ...]:
    """The places that answered, best first; none where the encoder cannot say where a vector looks.

    A place is ranked by its token's weight times its similarity, so that a word that hardly counts does
    not light up the page; of several vectors of one place the best stays.

    Args:
        query: labels name the tokens; without them a token is called by its number, from 1.
        page: must carry boxes.
        limit: how many places at most; None for all.
    """
    if page.boxes is None or not len(page.rows):
        return ()
    found = similarities(query, page)
    weighted = found * token_weights(query.rows, query.weights)[:, None]
    token = weighted.argmax(axis=0)
    columns = np.arange(found.shape[1])
    spots: dict[Box, Spot] = {}
    for at in np.argsort(-weighted[token, columns], kind="stable"):
        box = Box(*(float(edge) for edge in page.boxes[at]))
        name = query.labels[token[at]] if query.labels else str(token[at] + 1)
        spots.setdefault(box, Spot(box, name, float(np.clip(found[token[at], at], -1, 1))))
        if len(spots) == limit:
            break
    return tuple(spots.values())


def heat_map(query: Vectors, page: Vectors, *, rows: int = 32, columns: int = 24) -> NDArray[np.float32]:
    """How much each cell of a grid over the page answered, (rows, columns) float32 in [0, 1].

    Every vector lends its best weighted similarity to the cells that its box covers; a cell keeps the
    highest; the hottest cell is 1. All zero where the page has no boxes.
    """
    grid = np.zeros((rows, columns), dtype=np.float32)
    if page.boxes is None or not len(page.rows):
        return grid
    weights = token_weights(query.rows, query.weights)[:, None]
    heat = np.maximum((similarities(query, page) * weights).max(axis=0), 0)
    scale = np.array([columns, rows, columns, rows])
    for box, value in zip(page.boxes * scale, heat, strict=True):
        x0, y0 = np.floor(box[:2]).astype(int)
        x1, y1 = np.ceil(box[2:]).astype(int)
        area = grid[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)]
        np.maximum(area, value, out=area)
    peak = grid.max()
    return grid / peak if peak > 0 else grid
