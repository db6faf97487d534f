"""From a query's text to its vectors: one row a word, weighed by how much the word tells."""

from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from domain import words
from retrieve.encoder import Floats, Vectors
from retrieve.words import content

FLOOR = 0.07
"""The usual margin of a floor over the crowd; chosen, as the weighing is, on mmdocir_dev (docs/decisions/0031)."""


@dataclass(frozen=True, slots=True, eq=False)
class Speller:
    """The query tower: a table of n-gram vectors in one byte a value, and what each word is worth.

    Attributes:
        codes: (buckets, dim) int8; `codes * scales[:, None]` are the n-grams' vectors.
        scales: (buckets,) float32.
        known: (n,) uint32, sorted CRC-32 of the words that have a weight of their own.
        worths: (n,) float32, their weights.
        unknown: the weight of any other word.
        crowd: (m, dim) float32, unit vectors of ordinary words.
        floor: added to what a word shares with its `crowding` nearest of the crowd: below that similarity a
            page does not show the word.
    """

    codes: NDArray[np.int8]
    scales: Floats
    known: NDArray[np.uint32]
    worths: Floats
    unknown: float
    crowd: Floats
    floor: float = FLOOR
    crowding: int = 4

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
        """A query's rows, weights and words; each word once, and none of those that every text or question has.

        A row is (k * w, c), unit, where c / k is the word's floor; see `weighed`. Weights are such that a
        perfect match counts what the word is worth.
        """
        found = content(list(dict.fromkeys(words.split(text))))
        weights = np.array([self.worth(word) for word in found], np.float32)
        kept = [word for word, weight in zip(found, weights, strict=True) if weight > 0]
        if not kept:
            kept, weights = found or ["?"], np.ones(max(len(found), 1), np.float32)
        else:
            weights = weights[weights > 0]
        vectors = self.vectors(kept)
        floors = self.floors(vectors)
        turns = 1 / np.sqrt(1 + floors**2)
        rows = np.concatenate([vectors * turns[:, None], (floors * turns)[:, None]], axis=1)
        weights = weights / weights.sum() / (turns * (1 - floors))
        return Vectors(rows.astype(np.float32), weights=weights.astype(np.float32), labels=tuple(kept))

    def floors(self, vectors: Floats) -> Floats:
        """The similarity below which a page does not show a word, (n,) for unit vectors (n, dim)."""
        near = np.partition(vectors @ self.crowd.T, -self.crowding, axis=1)[:, -self.crowding]
        floors: Floats = np.clip(near + self.floor, 0.2, 0.8).astype(np.float32)
        return floors
