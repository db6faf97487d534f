"""The models of a library, each loaded once, when it is first needed."""

import threading
from collections.abc import Callable
from dataclasses import replace

from library.registry import load_encoder, load_reranker, load_tower
from library.settings import Settings
from rerank.reranker import PageFeatures, Reranker
from retrieve.dense import TextTower
from retrieve.encoder import Encoder


class Models:
    """Loads models on first use; safe to use from several threads."""

    def __init__(self, settings: Settings) -> None:
        """Nothing is loaded yet."""
        self._settings = settings
        self._turn = threading.RLock()
        self._encoder: Encoder | None = None
        self._tower: TextTower | None = None
        self._reranker: Reranker | None = None
        self._final: Reranker | None = None
        self._shared: Callable[[Encoder], Encoder] = lambda encoder: encoder

    def share(self, wrap: Callable[[Encoder], Encoder]) -> None:
        """Put around the encoder what lets many threads share it; it must give the very same vectors."""
        with self._turn:
            self._shared = wrap
            if self._encoder is not None:
                self._encoder = wrap(self._encoder)

    @property
    def encoder(self) -> Encoder:
        """The visual bi-encoder; ModelError when it cannot be loaded."""
        with self._turn:
            if self._encoder is None:
                self._encoder = self._shared(load_encoder(self._settings))
            return self._encoder

    @property
    def tower(self) -> TextTower:
        """The text tower; ModelError when it cannot be loaded."""
        with self._turn:
            if self._tower is None:
                self._tower = load_tower()
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

    def _features(self, image: object) -> PageFeatures:
        vectors = self.encoder.pages([image])[0]  # type: ignore[list-item]  # the reranker hands back PIL images
        if vectors.boxes is None:
            raise TypeError(f"{self.encoder.name} does not say where its vectors look")
        return PageFeatures(vectors.rows, vectors.boxes)
