"""The shared way to the models: requests wait for a place, run in threads, and what they cost is counted."""

from collections.abc import Callable
from typing import TypeVar

from anyio import to_thread

from library.arms import Tower
from library.library import Library
from library.models import Sharing
from library.options import SearchOptions
from library.results import SearchResult
from retrieve.encoder import Encoder
from service.batching import SharedEncoder, SharedTower
from service.limits import Places
from service.metrics import Metrics
from service.settings import ServiceSettings

T = TypeVar("T")


class Engine:
    """Runs model work for many callers at once and no more than the machine has places for."""

    def __init__(self, library: Library, settings: ServiceSettings, metrics: Metrics) -> None:
        """Work for this library."""
        self._library, self._metrics = library, metrics
        self._places = Places(settings.max_active, settings.max_waiting, metrics)
        self._shared: list[SharedEncoder | SharedTower] = []
        self._cached = settings.cache_queries
        library.share(Sharing(encoder=self._encoder, tower=self._tower))

    def close(self) -> None:
        """End the models' threads."""
        for shared in self._shared:
            shared.close()

    async def run(self, work: Callable[[], T]) -> T:
        """Do a piece of blocking work in a thread, when there is a place for it.

        Raises:
            ProblemError: 429 where too many wait already.
        """
        async with self._places.one():
            return await to_thread.run_sync(work)

    def _encoder(self, encoder: Encoder) -> Encoder:
        shared = SharedEncoder(encoder, self._metrics, cached=self._cached)
        self._shared.append(shared)
        return shared

    def _tower(self, tower: Tower) -> Tower:
        shared = SharedTower(tower, self._metrics, cached=self._cached)
        self._shared.append(shared)
        return shared

    def search(self, text: str, options: SearchOptions) -> SearchResult:
        """Search and count what each stage took; called in a thread."""
        result = self._library.search(text, options)
        self._metrics.stages(result.timings_ms)
        return result
