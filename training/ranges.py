"""How large the activations of a finished encoder get, so that processors may compute it in bytes."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from retrieve.builtin.files import RANGES, read_parts
from retrieve.builtin.network import PageTower, Strokes

SHARE = 0.9999
"""The share of a picture's activations that stay below its range: the few that do not are cut off."""


@torch.inference_mode()
def write_ranges(directory: Path, pictures: Sequence[NDArray[np.uint8]]) -> None:
    """Measure every layer of a model's page tower and write `ranges.json` there.

    Args:
        directory: holds the model.
        pictures: gray, (h, w) of whole tiles, such as it will read.
    """
    tower = read_parts(directory).tower
    layers = {name: layer for name, layer in tower.named_modules() if isinstance(layer, Strokes)}
    peaks = dict.fromkeys(layers, 0.0)
    hooks = [layer.register_forward_hook(_keep(peaks, name)) for name, layer in layers.items()]
    for picture in pictures:
        tower.read(picture)
    for hook in hooks:
        hook.remove()
    found = {name: round(peak, 3) for name, peak in _shared(tower, peaks).items()}
    (directory / RANGES).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _keep(peaks: dict[str, float], name: str) -> Callable[[nn.Module, tuple[Tensor], Tensor], None]:
    def look(_: nn.Module, __: tuple[Tensor], out: Tensor) -> None:
        values = out.flatten().float().numpy()
        at = int(SHARE * (len(values) - 1))
        peaks[name] = max(peaks[name], float(np.partition(values, at)[at]))

    return look


def _shared(tower: PageTower, peaks: dict[str, float]) -> dict[str, float]:
    """One range for all layers of a chain that add their input to their output: the largest."""
    chains: list[list[str]] = []
    for name, layer in tower.named_modules():
        if isinstance(layer, Strokes):
            if layer.skip:
                chains[-1].append(name)
            else:
                chains.append([name])
    return {name: max(peaks[each] for each in chain) for chain in chains for name in chain}
