"""From a page's picture to its vectors: three sizes of the page, the places where words are centred, one row each."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from retrieve.builtin.network import STRIDE_PX, PageTower
from retrieve.encoder import Floats

PAGE_PX = 1_600_000
"""Pixels to which every page is brought: an A4 page at about 130 dpi."""
LEVELS = (1.0, 0.42, 0.17)
"""Each level reads print about 2.4 times as large as the one before it."""
MULTIPLE_PX = 32
"""Levels are padded to multiples of this."""


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
        if min(width, height) >= MULTIPLE_PX or not pictures:
            size = (max(1, width), max(1, height))
            gray = gray.resize(size, Image.Resampling.BOX if size < gray.size else Image.Resampling.BICUBIC)
            pictures.append(np.asarray(gray))
    return pictures


def padded(picture: NDArray[np.uint8]) -> Tensor:
    """(h, w) gray to (1, 1, h', w') as the page tower wants it, its edges repeated to a whole multiple."""
    high, wide = (-(-side // MULTIPLE_PX) * MULTIPLE_PX for side in picture.shape)
    whole = np.pad(picture, ((0, high - picture.shape[0]), (0, wide - picture.shape[1])), mode="edge")
    values = 0.5 - torch.from_numpy(whole.astype(np.float32)) / 255
    return values[None, None].contiguous(memory_format=torch.channels_last)


@torch.inference_mode()
def see(tower: PageTower, image: Image.Image, *, threshold: float, fast: bool) -> Seen:
    """Read one page.

    Args:
        tower: the page tower, folded, in evaluation mode.
        image: RGB or gray, any size.
        threshold: the least probability at which a place counts as a word's centre.
        fast: compute convolutions in bfloat16, for processors with matrix units for it.
    """
    parts = [_level(tower, picture, threshold=threshold, fast=fast) for picture in levels(image)]
    joined = Seen(
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("vectors", "boxes", "rarity", "surety")
        )
    )
    return _without_doubles(joined)


def _level(tower: PageTower, picture: NDArray[np.uint8], *, threshold: float, fast: bool) -> Seen:
    with torch.autocast("cpu", torch.bfloat16, enabled=fast):
        _, features, places = tower(padded(picture))
        places = places[0].float()
        chance = places[0].sigmoid()
        best = functional.max_pool2d(chance[None, None], 3, 1, 1)[0, 0]
        rows, columns = torch.nonzero((chance >= best) & (chance > threshold), as_tuple=True)
        vectors, rarity = tower.vectors(features[0, :, rows, columns].T.float())
    x, y = (columns.float() + 0.5) * STRIDE_PX, (rows.float() + 0.5) * STRIDE_PX
    half = places[1:, rows, columns].clamp(-3, 4).exp() * STRIDE_PX / 2
    high, wide = picture.shape
    boxes = torch.stack(
        [(x - half[0]) / wide, (y - half[1]) / high, (x + half[0]) / wide, (y + half[1]) / high], 1
    )
    return Seen(vectors.numpy(), boxes.clamp(0, 1).numpy(), rarity.numpy(), chance[rows, columns].numpy())


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
