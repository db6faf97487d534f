"""The two towers of the built-in encoder: a convolutional reader of pages and a hashed speller of words."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

STRIDE_PX = 8
"""One place of the feature map stands for 8 x 8 pixels."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of both towers; stored beside the weights.

    Attributes:
        dim: the width of every vector.
        channels: of the three strokes layers and of the word layers.
        reaches: widths, in places of 8 px, of the kernels that gather a word's letters.
        hidden: the width of the head that turns a place into a vector.
        buckets: rows of the table of hashed n-grams.
    """

    dim: int = 128
    channels: tuple[int, int, int, int] = (48, 64, 96, 128)
    reaches: tuple[int, ...] = (7, 7, 7)
    hidden: int = 256
    buckets: int = 49152


class Strokes(nn.Module):
    """Convolution, batch normalisation (folded away for inference), ReLU; adds its input where `skip`."""

    def __init__(
        self,
        sizes: tuple[int, int],
        kernel: tuple[int, int],
        stride: tuple[int, int] = (1, 1),
        *,
        skip: bool = False,
    ) -> None:
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2)
        self.conv = nn.Conv2d(*sizes, kernel, stride, padding, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(sizes[1])
        self.skip = skip

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, h, w) to (b, c', h', w')."""
        y = functional.relu(self.norm(self.conv(x)))
        return x + y if self.skip else y

    def fold(self) -> None:
        """Move the normalisation into the convolution; the output stays the same."""
        norm, weight = self.norm, self.conv.weight
        if not isinstance(norm, nn.BatchNorm2d) or norm.running_var is None or norm.running_mean is None:
            return
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        shift = norm.bias - norm.running_mean * scale
        self.become_folded()
        with torch.no_grad():
            self.conv.weight = nn.Parameter(weight * scale[:, None, None, None])
            self.conv.bias = nn.Parameter(shift.clone())

    def become_folded(self) -> None:
        """Take the folded form, with a bias and without normalisation; its values are still to be set."""
        self.conv.bias = nn.Parameter(torch.zeros(self.conv.out_channels, device=self.conv.weight.device))
        self.norm = nn.Identity()


def ink(gray: Tensor) -> Tensor:
    """Gray values of uint8 as the page tower takes them: float32, ink positive on white paper."""
    return 0.5 - gray.float() / 255


class PageTower(nn.Module):
    """Reads a grayscale page: where its words are centred, how large they are, and a vector for each."""

    def __init__(self, shape: Shape, letters: int = 0) -> None:
        """Build it; `letters` classes for the training-time task of naming single letters, 0 for none."""
        super().__init__()
        self.dim = shape.dim
        stem, low, mid, wide = shape.channels
        self.strokes = nn.Sequential(
            Strokes((1, stem), (7, 5), (4, 2)),
            Strokes((stem, low), (3, 3), (1, 2)),
            Strokes((low, mid), (3, 3), (2, 1)),
            Strokes((mid, mid), (3, 3), skip=True),
            Strokes((mid, mid), (3, 3), skip=True),
        )
        self.words = nn.Sequential(
            Strokes((mid, wide), (3, 3), (1, 2)),
            *(Strokes((wide, wide), (1, reach), skip=True) for reach in shape.reaches),
            Strokes((wide, wide), (3, 3), skip=True),
        )
        self.places = nn.Conv2d(wide, 3, 1)  # is a word centred here; log of its width and height over 8 px
        self.head = nn.Sequential(
            nn.Linear(wide, shape.hidden), nn.ReLU(), nn.Linear(shape.hidden, shape.dim)
        )
        self.rarity = nn.Linear(shape.dim, 1)
        self.letters = nn.Linear(mid, letters) if letters else None

    def forward(self, pages: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Pages (b, 1, h, w) to letter features at (h/8, w/4), word features and places at (h/8, w/8)."""
        strokes = self.strokes(pages)
        words = self.words(strokes)
        return strokes, words, self.places(words)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.rarity.weight.device

    def read(self, picture: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
        """A gray picture (h, w) of whole strides to word features (1, c, h/8, w/8) and places (1, 3, h/8, w/8)."""
        pages = ink(torch.from_numpy(picture).to(self.device))[None, None]
        _, features, places = self(pages.contiguous(memory_format=torch.channels_last))
        return features, places

    def vectors(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Word features (n, c) to unit vectors (n, dim) and how rare each word looks, about 0 to 1."""
        raw = self.head(features)
        return functional.normalize(raw.float(), dim=-1), self.rarity(raw).squeeze(-1).float()


class WordTower(nn.Module):
    """A word's vector: the normalised sum of the vectors of its hashed letter n-grams."""

    def __init__(self, shape: Shape) -> None:
        """Build it; gradients of the table are sparse, since a batch touches few rows."""
        super().__init__()
        self.table = nn.EmbeddingBag(shape.buckets, shape.dim, mode="sum", sparse=True)
        nn.init.normal_(self.table.weight, std=0.05)

    def forward(self, grams: Tensor, starts: Tensor) -> Tensor:
        """Hash values of all words in a row (n,) and where each word starts (w,) to unit rows (w, dim)."""
        return functional.normalize(self.table(grams, starts).float(), dim=-1)
