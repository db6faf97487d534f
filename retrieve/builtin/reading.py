"""From a page's picture to its vectors: three sizes of the page, the places where words are centred, one row each."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional

from retrieve.builtin.inked import TILE_PX, parts, whole, whole_tiles
from retrieve.builtin.integers import ByteTower
from retrieve.builtin.network import STRIDE_PX, PageTower
from retrieve.encoder import Floats

PAGE_PX = 1_600_000
"""Pixels to which every page is brought: an A4 page at about 130 dpi."""
LEVELS = (1.0, 0.42, 0.17)
"""Each level reads print about 2.4 times as large as the one before it."""

Tower = PageTower | ByteTower


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """The words seen on a page, before they are weighed.

    Attributes:
        vectors: (n, dim) float32, unit rows.
        boxes: (n, 4) float32, x0 y0 x1 y1 in fractions of the page.
        rarity: (n,) float32, how rare the word looks, about 0 to 1.
        surety: (n,) float32, the probability that a word is centred here.
    """

    vectors: Floats
    boxes: Floats
    rarity: Floats
    surety: Floats


def levels(image: Image.Image, *, page_px: int = PAGE_PX) -> list[NDArray[np.uint8]]:
    """A page in gray at each level's size; a picture too small for a level leaves it out."""
    gray = image.convert("L")
    scale = math.sqrt(page_px / (gray.width * gray.height))
    sizes = [(round(gray.width * scale * level), round(gray.height * scale * level)) for level in LEVELS]
    pictures: list[NDArray[np.uint8]] = []
    for width, height in sizes:
        if min(width, height) >= TILE_PX or not pictures:
            size = (max(1, width), max(1, height))
            gray = gray.resize(size, Image.Resampling.BOX if size < gray.size else Image.Resampling.BICUBIC)
            pictures.append(np.asarray(gray))
    return pictures


@torch.inference_mode()
def see(tower: Tower, image: Image.Image, *, threshold: float, fast: bool, at_once: bool) -> Seen:
    """Read one page.

    Args:
        tower: the page tower: folded, in evaluation mode, on the processor or a GPU; or in bytes.
        image: RGB or gray, any size.
        threshold: the least probability at which a place counts as a word's centre.
        fast: compute what the tower computes in floats in bfloat16, for GPUs and processors that multiply it.
        at_once: read the whole page, blank space included: a GPU does so sooner than it starts on many pieces.
    """
    with torch.autocast(tower.device.type, torch.bfloat16, enabled=fast):
        found = [
            seen for picture in levels(image) for seen in _level(tower, picture, threshold, at_once=at_once)
        ]
    return _without_doubles(_joined(found, tower.dim))


def _level(tower: Tower, picture: NDArray[np.uint8], threshold: float, *, at_once: bool) -> Iterator[Seen]:
    high, wide = picture.shape
    size = np.array([wide, high, wide, high], np.float32)
    tiled = whole_tiles(picture)
    for part in [whole(tiled)] if at_once else parts(tiled):
        seen = _part(tower, part.cut(tiled), threshold)
        shift = np.array([part.left, part.top, part.left, part.top], np.float32) * TILE_PX
        yield replace(seen, boxes=((seen.boxes + shift) / size).clip(0, 1))


def _part(tower: Tower, picture: NDArray[np.uint8], threshold: float) -> Seen:
    """The words of a piece of a page of whole tiles; their boxes in its pixels."""
    features, places = tower.read(picture)
    places = places[0].float()
    chance = places[0].sigmoid()
    best = functional.max_pool2d(chance[None, None], 3, 1, 1)[0, 0]
    rows, columns = torch.nonzero((chance >= best) & (chance > threshold), as_tuple=True)
    vectors, rarity = tower.vectors(features[0, :, rows, columns].T.float())
    x, y = (columns.float() + 0.5) * STRIDE_PX, (rows.float() + 0.5) * STRIDE_PX
    half = places[1:, rows, columns].clamp(-3, 4).exp() * STRIDE_PX / 2
    boxes = torch.stack([x - half[0], y - half[1], x + half[0], y + half[1]], 1)
    found = (vectors, boxes, rarity, chance[rows, columns])
    return Seen(*(part.cpu().numpy() for part in found))


def _joined(found: Sequence[Seen], dim: int) -> Seen:
    nothing = np.zeros(0, np.float32)
    empty = Seen(nothing.reshape(0, dim), nothing.reshape(0, 4), nothing, nothing)
    together = [empty, *found]
    return Seen(
        np.concatenate([seen.vectors for seen in together]),
        np.concatenate([seen.boxes for seen in together]),
        np.concatenate([seen.rarity for seen in together]),
        np.concatenate([seen.surety for seen in together]),
    )


def _without_doubles(seen: Seen) -> Seen:
    """Drop a word that a larger or smaller level saw at the same place with more certainty."""
    order = np.argsort(-seen.surety, kind="stable")
    x, y = (seen.boxes[:, 0] + seen.boxes[:, 2]) / 2, (seen.boxes[:, 1] + seen.boxes[:, 3]) / 2
    x0, y0, x1, y1 = seen.boxes.T
    within = (x[:, None] > x0) & (x[:, None] < x1) & (y[:, None] > y0) & (y[:, None] < y1)
    same = within & within.T
    keep = np.zeros(len(order), bool)
    for index in order:
        keep[index] = not (same[index] & keep).any()
    return Seen(seen.vectors[keep], seen.boxes[keep], seen.rarity[keep], seen.surety[keep])
