"""How much one caller may ask for, and how much may run at once."""

import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio

from service.metrics import Metrics
from service.problems import ProblemError

_MOST_CALLERS = 10_000


class Rates:
    """A bucket of tokens a caller: `burst` at once, then `per_s` a second."""

    def __init__(self, per_s: float, burst: int, *, now: Callable[[], float] = time.monotonic) -> None:
        """Hold callers to this rate; 0 a second lets everything through."""
        self._per_s, self._burst, self._now = per_s, max(1, burst), now
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str) -> None:
        """Take one request from the caller's bucket.

        Raises:
            ProblemError: 429 with `Retry-After` where the bucket is empty.
        """
        if self._per_s <= 0:
            return
        now = self._now()
        level, since = self._buckets.pop(caller, (float(self._burst), now))
        level = min(self._burst, level + (now - since) * self._per_s)
        self._buckets[caller] = (max(level - 1, 0.0) if level >= 1 else level, now)
        while len(self._buckets) > _MOST_CALLERS:
            self._buckets.popitem(last=False)
        if level < 1:
            wait = max(1, round((1 - level) / self._per_s + 0.5))
            raise too_many(f"more than {self._per_s:g} requests a second", wait)


class Places:
    """So many requests run at once, so many wait, and the next is turned away."""

    def __init__(self, active: int, waiting: int, metrics: Metrics) -> None:
        """Open this many places."""
        self._places = anyio.Semaphore(active)
        self._most, self._waiting = waiting, 0
        self._metrics = metrics

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Hold a place for the duration.

        Raises:
            ProblemError: 429 with `Retry-After` where too many wait already.
        """
        if self._waiting >= self._most:
            raise too_many(f"{self._waiting} requests wait already", 1)
        self._waiting += 1
        self._metrics.waiting.inc()
        try:
            await self._places.acquire()
        finally:
            self._waiting -= 1
            self._metrics.waiting.dec()
        self._metrics.active.inc()
        try:
            yield
        finally:
            self._metrics.active.dec()
            self._places.release()


def too_many(why: str, wait_s: int) -> ProblemError:
    """The refusal of one request too many."""
    return ProblemError(
        429, "too-many-requests", f"{why}; try again in {wait_s} s", headers={"Retry-After": str(wait_s)}
    )
