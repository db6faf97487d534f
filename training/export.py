"""Writes the trained encoder as the product loads it: folded, rotated to make room for weights, small."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from zlib import crc32

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn

from domain import words
from retrieve.builtin.files import CONFIG, WEIGHTS
from retrieve.builtin.network import PageTower, Shape, Strokes
from retrieve.builtin.spelling import FLOOR
from retrieve.builtin.weighing import Weighing
from training.sample import LETTER_CLASSES
from training.worths import Worths


def export(
    state: dict[str, Tensor], shape: Shape, worths: Worths, directory: Path, *, threshold: float = 0.4
) -> None:
    """Write `model.safetensors` and `config.json`.

    Args:
        state: of `training.spotting.Spotter`.
        shape: of its towers.
        worths: what query words count.
        directory: made if need be; files are replaced.
        threshold: at what probability a place is a word.
    """
    tower = folded(state, shape)
    table = state["word.table.weight"].float()
    turn = _rotation(table)
    last = tower.head[-1]
    if not isinstance(last, nn.Linear):
        raise TypeError(f"the head ends in a linear layer, not in {type(last).__name__}")
    # the rarity head reads the unrotated vector: give it the rotation's inverse, which drops one direction
    tensors = {f"page.{name}": value.half() for name, value in tower.state_dict().items()}
    tensors["page.head.2.weight"] = (turn @ last.weight.detach()).half()
    tensors["page.head.2.bias"] = (turn @ last.bias.detach()).half()
    tensors["page.rarity.weight"] = (tower.rarity.weight.detach() @ turn.T).half()
    tensors |= _words(table @ turn.T) | _worths(worths)
    tensors["words.crowd"] = _crowd(table @ turn.T, worths.ordinary)
    config = {
        "shape": asdict(replace(shape, dim=shape.dim - 1)),
        "weighing": asdict(Weighing()),
        "threshold": threshold,
        "unknown_worth": round(worths.unknown, 4),
        "floor": FLOOR,
    }
    directory.mkdir(parents=True, exist_ok=True)
    _write(directory / WEIGHTS, save({name: value.contiguous() for name, value in tensors.items()}))
    _write(directory / CONFIG, (json.dumps(config, indent=1) + "\n").encode())


def folded(state: dict[str, Tensor], shape: Shape) -> PageTower:
    """The page tower in a `training.spotting.Spotter`'s state as the product has it: folded, without the letters."""
    tower = PageTower(shape, LETTER_CLASSES)
    tower.load_state_dict({name[5:]: value for name, value in state.items() if name.startswith("page.")})
    tower.letters = None
    tower.eval()
    for module in tower.modules():
        if isinstance(module, Strokes):
            module.fold()
    return tower


def _rotation(table: Tensor) -> Tensor:
    """(dim - 1, dim): the principal directions of the n-grams' vectors but the last two; the last row is 0."""
    heavy = table[table.norm(dim=1) > table.norm(dim=1).median()]
    _, _, directions = torch.linalg.svd(heavy.T @ heavy)
    return torch.cat([directions[:-2], torch.zeros_like(directions[:1])])


def _crowd(table: Tensor, common: Sequence[str]) -> Tensor:
    spelled = [table[list(words.grams(word, len(table)))].sum(0) for word in common]
    return torch.nn.functional.normalize(torch.stack(spelled), dim=-1).half()


def _words(table: Tensor) -> dict[str, Tensor]:
    scales = table.abs().amax(1).clamp(min=1e-6) / 127
    codes = (table / scales[:, None]).round().clamp(-127, 127).to(torch.int8)
    return {"words.codes": codes, "words.scales": scales.half()}


def _worths(worths: Worths) -> dict[str, Tensor]:
    hashed = {crc32(word.encode()): value for word, value in worths.known.items()}
    keys = np.array(sorted(hashed), np.uint32)
    values = np.array([hashed[int(key)] for key in keys], np.float32)
    return {
        "worths.known": torch.from_numpy(keys.view(np.int32)),
        "worths.values": torch.from_numpy(values).half(),
    }


def _write(path: Path, blob: bytes) -> None:
    held = path.with_suffix(".tmp")
    held.write_bytes(blob)
    held.replace(path)
