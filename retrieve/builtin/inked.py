"""Which parts of a page have anything on them, so that nothing is computed where it is blank."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TILE_PX = 32
"""Parts are whole tiles; the page tower halves a picture three times, so this must be a multiple of eight."""
GAP_TILES = 3
"""A blank strip is left out when it is at least this wide: one tile of it stays on either side."""
NOISE = 12
"""Gray steps, of 255, between the lightest and the darkest pixel of a tile that still counts as blank."""


@dataclass(frozen=True, slots=True)
class Part:
    """A rectangle of tiles, the first included and the last not."""

    top: int
    bottom: int
    left: int
    right: int

    def cut(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """This part of a picture."""
        return picture[self.top * TILE_PX : self.bottom * TILE_PX, self.left * TILE_PX : self.right * TILE_PX]


def whole_tiles(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Repeat the right and the lower edge of (h, w) until both sides are whole tiles."""
    high, wide = (-side % TILE_PX for side in picture.shape)
    return np.pad(picture, ((0, high), (0, wide)), mode="edge")


def whole(picture: NDArray[np.uint8]) -> Part:
    """All of a picture of whole tiles."""
    rows, columns = (side // TILE_PX for side in picture.shape)
    return Part(0, rows, 0, columns)


def parts(picture: NDArray[np.uint8]) -> list[Part]:
    """Rectangles that hold all print of a picture of whole tiles, each with a blank tile around it.

    Cut like paper: along the widest blank strip, then each half anew (the recursive X-Y cut). No print stands in
    two parts, since the strips are wider than what stays of them.

    Source: Nagy & Seth, ICPR 1984, for the cut.
    """
    rows, columns = (side // TILE_PX for side in picture.shape)
    tiles = picture.reshape(rows, TILE_PX, columns, TILE_PX)
    ink = tiles.max((1, 3)).astype(np.int16) - tiles.min((1, 3)) > NOISE
    return [
        Part(max(0, p.top - 1), min(rows, p.bottom + 1), max(0, p.left - 1), min(columns, p.right + 1))
        for p in _cut(ink, 0, 0)
    ]


def _cut(ink: NDArray[np.bool_], top: int, left: int) -> Iterator[Part]:
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    if not len(rows):
        return
    (high, above, below), (wide, before, behind) = _widest(rows), _widest(columns)
    if max(high, wide) < GAP_TILES:
        yield Part(top + rows[0], top + rows[-1] + 1, left + columns[0], left + columns[-1] + 1)
    elif high >= wide:
        yield from _cut(ink[:above], top, left)
        yield from _cut(ink[below:], top + below, left)
    else:
        yield from _cut(ink[:, :before], top, left)
        yield from _cut(ink[:, behind:], top, left + behind)


def _widest(found: NDArray[np.intp]) -> tuple[int, int, int]:
    """The widest blank strip between two of these tiles: how wide, where it begins and where it ends."""
    if len(found) < 2:
        return 0, 0, 0
    place = int(np.diff(found).argmax())
    begin, end = int(found[place]) + 1, int(found[place + 1])
    return end - begin, begin, end
