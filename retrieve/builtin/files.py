"""Reads the built-in encoder's files: weights without pickles, and the values beside them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import nn

from domain.errors import ModelError
from retrieve.builtin.network import PageTower, Shape, Strokes
from retrieve.builtin.spelling import Speller
from retrieve.builtin.weighing import Weighing

WEIGHTS, CONFIG, RANGES = "model.safetensors", "config.json", "ranges.json"


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """Everything that the encoder is made of.

    Attributes:
        tower: reads pages.
        ranges: of its layers' activations, see `ByteTower`; empty where nobody measured them.
        speller: spells words.
        weighing: see there.
        threshold: the probability from which on a place is a word.
        digest: names weights and configuration together; ranges are arithmetic, not meaning.
    """

    tower: PageTower
    ranges: Mapping[str, float]
    speller: Speller
    weighing: Weighing
    threshold: float
    digest: str


def read_parts(directory: Path) -> Parts:
    """Load a model directory.

    Raises:
        ModelError: a file is missing, damaged or does not fit; names it and the remedy.
    """
    try:
        blob = (directory / WEIGHTS).read_bytes()
        text = (directory / CONFIG).read_text(encoding="utf-8")
        config = json.loads(text)
        tensors = load(blob)
        shape = shape_of(config["shape"])
        tower = _tower(shape, tensors)
        speller = Speller(
            tensors["words.codes"].numpy(), tensors["words.scales"].float().numpy(),
            tensors["worths.known"].numpy().view(np.uint32), tensors["worths.values"].float().numpy(),
            float(config["unknown_worth"]), tensors["words.crowd"].float().numpy(), float(config["floor"]),
        )  # fmt: skip
        weighing = Weighing(**config["weighing"])
        measured = directory / RANGES
        ranges = json.loads(measured.read_text(encoding="utf-8")) if measured.is_file() else {}
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise ModelError(
            f"the built-in encoder in {directory} cannot be read ({error}); restore {WEIGHTS} and {CONFIG}, "
            "or train them with `recto train encoder`"
        ) from error
    digest = hashlib.sha256(blob + text.encode()).hexdigest()[:16]
    return Parts(tower, ranges, speller, weighing, float(config["threshold"]), digest)


def shape_of(values: Mapping[str, int | list[int]]) -> Shape:
    """The shape as a configuration file says it."""
    listed = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
    return Shape(**listed)  # type: ignore[arg-type]  # a wrong value fails when the weights are put in


def _tower(shape: Shape, tensors: dict[str, torch.Tensor]) -> PageTower:
    with torch.device("meta"):
        tower = PageTower(shape)
    for module in tower.modules():
        if isinstance(module, Strokes):
            module.become_folded()
    state = {name[5:]: value.float() for name, value in tensors.items() if name.startswith("page.")}
    tower.load_state_dict(state, assign=True)
    for module in tower.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.data = module.weight.data.contiguous(memory_format=torch.channels_last)
    tower.eval()
    return tower
