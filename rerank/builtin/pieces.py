"""Word pieces of the text tower: which ones a word is made of, and which words they know."""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file
from tokenizers import Tokenizer
from torch import Tensor

from domain.errors import ModelError
from domain.packing import unpacked

MOST = 4
"""Pieces of a word that are read; what follows is cut off."""

Ids = NDArray[np.int64]


class Pieces:
    """Cuts words into word pieces and holds each piece's vector."""

    def __init__(self, tokenizer: Tokenizer, table: Tensor, digest: str) -> None:
        """Hold a tokenizer and its (pieces, width) table; use `read_pieces` to read them."""
        self.table, self.digest = table, digest
        self._tokenizer = tokenizer
        self._opening, self._closing, self._unknown = (
            _mark(tokenizer, mark) for mark in ("[CLS]", "[SEP]", "[UNK]")
        )
        self._cut = lru_cache(maxsize=200_000)(self._of)

    @property
    def whole_words(self) -> tuple[str, ...]:
        """Words of at least two letters or digits that are one piece, in the order of the table."""
        known = sorted(self._tokenizer.get_vocab().items(), key=lambda entry: entry[1])
        return tuple(word for word, _ in known if len(word) > 1 and word.isalnum())

    def words(self, texts: Sequence[str]) -> Ids:
        """The pieces of each word, `MOST` at most: (n, MOST), -1 where a word has fewer.

        An empty text is a word that could not be read: one unknown piece.
        """
        return np.array([self._cut(text) for text in texts], np.int64).reshape(-1, MOST)

    @property
    def unknown(self) -> Ids:
        """The row (MOST,) of a word that could not be read."""
        row: Ids = self.words([""])[0]
        return row

    def framed(self, rows: Ids) -> Ids:
        """A question's rows (n, MOST) with the opening mark before and the closing mark behind."""
        first, last = (np.array([[mark] + [-1] * (MOST - 1)]) for mark in (self._opening, self._closing))
        return np.concatenate([first, rows, last])

    def _of(self, text: str) -> tuple[int, ...]:
        found = self._tokenizer.encode(text, add_special_tokens=False).ids[:MOST] or [self._unknown]
        return (*found, *([-1] * (MOST - len(found))))


def read_pieces(directory: Path) -> Pieces:
    """Read the word pieces of a text tower.

    Raises:
        ModelError: a file is missing or damaged; names the directory and the remedy.
    """
    try:
        held = load_file(directory / "model.safetensors")
        table = unpacked({name: held[name] for name in ("words.weight.int8", "words.weight.scale")})
        written = (directory / "tokenizer.json").read_text(encoding="utf-8")
        tokenizer = Tokenizer.from_str(written)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise ModelError(
            f"the built-in reranker needs the word pieces of the text tower, and {directory} cannot be read "
            f"({error}); restore the directory"
        ) from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    digest = hashlib.sha256(held["words.weight.int8"].tobytes() + written.encode()).hexdigest()[:16]
    return Pieces(tokenizer, torch.from_numpy(table["words.weight"]), digest)


def _mark(tokenizer: Tokenizer, mark: str) -> int:
    number = tokenizer.token_to_id(mark)
    if number is None:
        raise ModelError(
            f"the tokenizer has no {mark}; it is not the one that the text tower was trained with"
        )
    return int(number)
