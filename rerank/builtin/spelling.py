"""How the visual encoder spells words: read from its files, so that questions and page rows always fit."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load

from domain import words
from domain.errors import ModelError

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class EncoderWords:
    """A visual encoder's table of letter n-grams and what it holds words to be worth.

    Attributes:
        table: (buckets, dim) float32, vectors of hashed n-grams.
        known: (n,) uint32, sorted CRC-32 of the words that have a worth of their own.
        worths: (n,) float32, from 0.
        unknown: the worth of every other word.
        digest: sixteen hex digits that differ when anything above differs.
    """

    table: Floats
    known: NDArray[np.uint32]
    worths: Floats
    unknown: float
    digest: str


class Speller:
    """Spells words as unit vectors; remembers the words that it met."""

    def __init__(self, given: EncoderWords) -> None:
        """Take an encoder's words."""
        self._given = given
        self._spelled = lru_cache(maxsize=100_000)(self._spell)

    @property
    def dim(self) -> int:
        """The width of a word's vector."""
        return int(self._given.table.shape[1])

    @property
    def digest(self) -> str:
        """Sixteen hex digits that differ when the spelling differs."""
        return self._given.digest

    def rows(self, texts: Sequence[str]) -> Floats:
        """One unit row a word: (w, dim) float32."""
        if not texts:
            return np.zeros((0, self.dim), dtype=np.float32)
        return np.stack([self._spelled(text) for text in texts])

    def worths(self, texts: Sequence[str]) -> Floats:
        """How much each word tells, from 0: (w,) float32."""
        return np.array([self._worth(text) for text in texts], dtype=np.float32)

    def _worth(self, word: str) -> float:
        hashed = np.uint32(crc32(word.encode()))
        place = int(np.searchsorted(self._given.known, hashed))
        if place < len(self._given.known) and self._given.known[place] == hashed:
            return float(self._given.worths[place])
        return self._given.unknown

    def _spell(self, word: str) -> Floats:
        table = self._given.table
        total: Floats = table[list(words.grams(word, len(table)))].sum(0)
        unit: Floats = total / max(float(np.linalg.norm(total)), 1e-12)
        return unit


def read_words(directory: Path) -> EncoderWords:
    """Read the words of a built-in encoder.

    Raises:
        ModelError: a file is missing or damaged; names the directory and the remedy.
    """
    try:
        blob = (directory / "model.safetensors").read_bytes()
        unknown = float(json.loads((directory / "config.json").read_text())["unknown_worth"])
        held = load(blob)
        scales = held["words.scales"].astype(np.float32)
        table = held["words.codes"].astype(np.float32) * scales[:, None]
        known = held["worths.known"].view(np.uint32)
        worths = held["worths.values"].astype(np.float32)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise ModelError(
            f"the built-in reranker needs the words of the built-in encoder, and {directory} cannot be read "
            f"({error}); restore the encoder that ships or train one with `recto train encoder`"
        ) from error
    parts = (held["words.codes"], held["words.scales"], known, worths, np.array(unknown))
    digest = hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()[:16]
    return EncoderWords(table, known, worths, unknown, digest)
