"""The page tower in bytes, for processors that multiply bytes faster than floats."""

import logging
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from backbone.integers import WEIGHT, bytes_add_up
from domain.errors import ModelError
from retrieve.builtin.network import PageTower, Strokes

log = logging.getLogger(__name__)

GRAY = 128
"""The byte that stands for the middle gray, which is 0 to the tower."""
TOLERANCE = 0.2
"""The mean difference of features from those in floats, by their mean; rounding makes it .05, a wrong kernel 1."""
STEM_STRIDE = (4, 2)
"""Pixels of a picture, down and across, that become the channels of one place."""
STEM_REACH = (2, 3)
"""Places that the first kernel then spans."""


class _Step(NamedTuple):
    """A convolution with its ReLU: a scale for each output channel, and what a byte before and behind it stands for."""

    packed: Tensor
    scales: Tensor
    zeros: Tensor
    bias: Tensor
    stride: list[int]
    padding: list[int]
    scale_in: float
    scale_out: float
    skip: bool

    def __call__(self, x: Tensor) -> Tensor:
        """(1, c, h, w) bytes to (1, c', h', w') bytes."""
        y: Tensor = torch.ops.onednn.qconv2d_pointwise(
            x, self.scale_in, 0, self.packed, self.scales, self.zeros, self.bias,
            self.stride, self.padding, [1, 1], 1, self.scale_out, 0, torch.uint8, "relu", [], "",
        )  # fmt: skip
        return torch.minimum(x, 255 - y).add_(y) if self.skip else y


class ByteTower:
    """Reads pages as a folded `PageTower` does, with activations and weights in bytes and a scale a channel.

    Inputs that a layer skips to its output are added as bytes, so both have one scale; what exceeds it is cut off.

    Source: Jacob et al., CVPR 2018, for the arithmetic.
    """

    device = torch.device("cpu")

    def __init__(self, tower: PageTower, ranges: Mapping[str, float]) -> None:
        """Round the weights.

        Args:
            tower: folded, on the processor.
            ranges: the largest activation that each layer's bytes hold, by the layer's name in the tower.

        Raises:
            ModelError: a layer's range is missing or cannot be.
        """
        self._tower = tower
        self.dim, self.vectors = tower.dim, tower.vectors
        self._steps: list[_Step] = []
        scale = 1 / 255
        for name, layer in tower.named_modules():
            if not isinstance(layer, Strokes):
                continue
            peak = ranges.get(name, 0.0)
            if not peak > 0 or (layer.skip and abs(peak / 255 - scale) > 1e-9):
                raise ModelError(f"the range of {name} is {ranges.get(name)}; measure the ranges anew")
            self._steps.append(_step(layer, scale, peak / 255))
            scale = peak / 255
        self._scale = scale

    def read(self, picture: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
        """As `PageTower.read`."""
        down, across = STEM_STRIDE
        high, wide = picture.shape[0] // down, picture.shape[1] // across
        places = torch.from_numpy(255 - picture).view(high, down, wide, across).permute(0, 2, 1, 3)
        x = places.reshape(1, high, wide, down * across).permute(0, 3, 1, 2)
        x = functional.pad(x, (1, 1, 1, 0), value=GRAY)
        for step in self._steps:
            x = step(x.contiguous(memory_format=torch.channels_last))
        features = x.float() * self._scale
        return features, self._tower.places(features)


def in_bytes(tower: PageTower, ranges: Mapping[str, float]) -> ByteTower | None:
    """The tower in bytes, after a look at what it says; None, with a line in the log, where that is not what it says.

    A wrong kernel would fill an index with vectors of nothing, and no later check would know.

    Args:
        tower: as `ByteTower` takes it.
        ranges: the same.
    """
    picture = np.random.default_rng(0).integers(0, 256, (96, 160), dtype=np.uint8)
    try:
        with torch.inference_mode():
            found = ByteTower(tower, ranges)
            wanted, said = tower.read(picture)[0], found.read(picture)[0]
    except (AttributeError, RuntimeError) as error:
        log.warning("pages are read in floats: this torch has no products of bytes (%s)", error)
        return None
    if (said - wanted).abs().mean() < TOLERANCE * wanted.abs().mean():
        return found
    log.warning("pages are read in floats: torch's products of bytes are wrong on this machine")
    return None


def _step(layer: Strokes, scale_in: float, scale_out: float) -> _Step:
    weight, bias = layer.conv.weight.detach().float(), layer.conv.bias
    stride, padding = list(layer.conv.stride), [side // 2 for side in layer.conv.kernel_size]
    if bias is None:
        raise ModelError("only a folded tower can be put into bytes")
    first = weight.shape[1] == 1
    if first:
        weight, stride, padding = _as_channels(weight), [1, 1], [0, 0]
    most = (
        WEIGHT if bytes_add_up() else WEIGHT // 2
    )  # 2 x 255 x 63 is below the 16 bits at which sums are cut off
    scales = weight.abs().amax((1, 2, 3)).clamp(min=1e-8) / most
    codes = (weight / scales[:, None, None, None]).round()
    # a picture's bytes count from white, the tower from the middle gray; `read` pads with it
    shift = GRAY * scale_in * scales * codes.sum((1, 2, 3)) if first else 0
    packed = torch.ops.onednn.qconv_prepack(
        codes.to(torch.int8).contiguous(memory_format=torch.channels_last), scales, scale_in, 0,
        stride, padding, [1, 1], 1, None,
    )  # fmt: skip
    zeros = torch.zeros(len(scales), dtype=torch.int32)
    shifted = bias.detach().float() - shift
    return _Step(packed, scales, zeros, shifted, stride, padding, scale_in, scale_out, layer.skip)


def _as_channels(weight: Tensor) -> Tensor:
    """The first kernel, (c, 1, 7, 5) with strides, as one without: over places whose channels are a stride's pixels.

    A convolution with one channel uses a fourth of the lanes of the processor's instructions.
    """
    down, across = STEM_STRIDE
    high, wide = weight.shape[2:]
    spread = weight.new_zeros(len(weight), down * across, *STEM_REACH)
    for i in range(high):
        place, row = divmod(i - high // 2, down)
        for j in range(wide):
            column_place, column = divmod(j - wide // 2, across)
            spread[:, row * across + column, place + 1, column_place + 1] = weight[:, 0, i, j]
    return spread
