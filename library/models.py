"""The models of a library, each loaded once, when it is first needed."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

from library.arms import Tower
from library.registry import Namer, load_encoder, load_namer, load_reranker, load_tower, load_words
from library.settings import Settings
from rerank.reranker import PageFeatures, Reranker
from retrieve.encoder import Encoder


def _same_encoder(encoder: Encoder) -> Encoder:
    return encoder


def _same_tower(tower: Tower) -> Tower:
    return tower


@dataclass(frozen=True, slots=True)
class Sharing:
    """What is put around a model when it is loaded; by default nothing."""

    encoder: Callable[[Encoder], Encoder] = _same_encoder
    tower: Callable[[Tower], Tower] = _same_tower


class Models:
    """Loads models on first use; safe to use from several threads."""

    def __init__(self, settings: Settings) -> None:
        """Nothing is loaded yet."""
        self._settings = settings
        self._turn = threading.RLock()
        self._encoder: Encoder | None = None
        self._tower: Tower | None = None
        self._reranker: Reranker | None = None
        self._final: Reranker | None = None
        self._namer: Namer | None = None
        self._sharing = Sharing()

    def share(self, sharing: Sharing) -> None:
        """Put around the models what lets many threads share them; it must give the very same vectors."""
        with self._turn:
            self._sharing = sharing
            if self._encoder is not None:
                self._encoder = sharing.encoder(self._encoder)
            if self._tower is not None:
                self._tower = sharing.tower(self._tower)

    @property
    def encoder(self) -> Encoder:
        """The visual bi-encoder; ModelError when it cannot be loaded."""
        with self._turn:
            if self._encoder is None:
                self._encoder = self._sharing.encoder(load_encoder(self._settings))
            return self._encoder

    @property
    def tower(self) -> Tower:
        """The text tower; ModelError when it cannot be loaded."""
        with self._turn:
            if self._tower is None:
                self._tower = self._sharing.tower(load_tower(self._settings))
            return self._tower

    @property
    def reranker(self) -> Reranker | None:
        """The cross-encoder, None when the settings say `none`; ModelError when it cannot be loaded."""
        with self._turn:
            if self._reranker is None:
                self._reranker = load_reranker(self._settings, featurise=self._features)
            return self._reranker

    @property
    def final_reranker(self) -> Reranker | None:
        """The cross-encoder of the top few pages, None when the settings say `none`."""
        with self._turn:
            if self._final is None:
                final = replace(self._settings, reranker=self._settings.final_reranker)
                self._final = load_reranker(final, featurise=self._features)
            return self._final

    @property
    def namer(self) -> Namer | None:
        """What turns the encoder's vectors of a page back into words; only the built-in encoder's can be."""
        with self._turn:
            if self._namer is None and self._settings.encoder == "builtin":
                self._namer = load_namer()
            return self._namer

    @cached_property
    def words(self) -> frozenset[str]:
        """English words that nobody misspelled, in lower case."""
        return load_words()

    def _features(self, image: object) -> PageFeatures:
        vectors = self.encoder.pages([image])[0]  # type: ignore[list-item]  # the reranker hands back PIL images
        if vectors.boxes is None:
            raise TypeError(f"{self.encoder.name} does not say where its vectors look")
        return PageFeatures(vectors.rows, vectors.boxes)
