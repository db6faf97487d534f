"""From a query's text to its vectors: one row a word, weighed by how much the word tells."""

from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from domain import words
from retrieve.encoder import Floats, Vectors


@dataclass(frozen=True, slots=True, eq=False)
class Speller:
    """The query tower: a table of n-gram vectors in one byte a value, and what each word is worth.

    Attributes:
        codes: (buckets, dim) int8; `codes * scales[:, None]` are the n-grams' vectors.
        scales: (buckets,) float32.
        known: (n,) uint32, sorted CRC-32 of the words that have a weight of their own.
        worths: (n,) float32, their weights.
        unknown: the weight of any other word.
    """

    codes: NDArray[np.int8]
    scales: Floats
    known: NDArray[np.uint32]
    worths: Floats
    unknown: float

    def vectors(self, texts: list[str]) -> Floats:
        """Words to unit rows, (n, dim)."""
        rows = np.zeros((len(texts), self.codes.shape[1]), np.float32)
        for place, text in enumerate(texts):
            hashed = np.array(words.grams(text, len(self.codes)))
            rows[place] = self.scales[hashed] @ self.codes[hashed].astype(np.float32)
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        unit: Floats = rows / np.maximum(norms, 1e-6)
        return unit

    def worth(self, text: str) -> float:
        """How much a word counts, from 0."""
        hashed = np.uint32(crc32(text.encode()))
        place = int(np.searchsorted(self.known, hashed))
        if place < len(self.known) and self.known[place] == hashed:
            return float(self.worths[place])
        return self.unknown

    def query(self, text: str) -> Vectors:
        """A query's rows, weights and words; each word once; the last dimension is zero."""
        found = list(dict.fromkeys(words.split(text)))
        weights = np.array([self.worth(word) for word in found], np.float32)
        kept = [word for word, weight in zip(found, weights, strict=True) if weight > 0]
        if not kept:
            kept, weights = found or ["?"], np.ones(max(len(found), 1), np.float32)
        else:
            weights = weights[weights > 0]
        rows = np.pad(self.vectors(kept), ((0, 0), (0, 1)))
        return Vectors(rows, weights=weights / weights.max(), labels=tuple(kept))
