"""Loads the models in the background at start, so that the first search does not wait for them."""

import logging
import threading

from domain.errors import RectoError
from library.library import Library

log = logging.getLogger(__name__)


class Warmth:
    """Whether the models are loaded; `failure` says why they cannot be."""

    def __init__(self, library: Library) -> None:
        """Nothing is loaded yet."""
        self._library = library
        self._thread = threading.Thread(target=self._load, name="recto-warm", daemon=True)
        self.encoder, self.reranker = "", ""
        self.ready = False
        self.failure = ""

    def start(self) -> None:
        """Begin to load."""
        self._thread.start()

    def join(self, timeout_s: float) -> None:
        """Wait until loading ended, one way or the other."""
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _load(self) -> None:
        try:
            self.encoder = self._library.encoder.name
            reranker = self._library.reranker
            self.reranker = reranker.name if reranker else "none"
            self.ready = True
        except RectoError as error:
            self.failure = str(error)
            log.error("the models cannot be loaded: %s", error)
