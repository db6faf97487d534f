"""Carries a job's progress from the thread that works to everyone who listens."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from library.results import Progress

_KEPT = 64


@dataclass(frozen=True, slots=True)
class News:
    """A step of a job; None means that its state changed and should be read again."""

    job_id: str
    progress: Progress | None


class Board:
    """Where the worker pins news and event streams read it. A slow reader loses old news, never new."""

    def __init__(self) -> None:
        """Nobody listens yet."""
        self._lock = threading.Lock()
        self._readers: dict[str, set[_Reader]] = {}
        self.closed = False

    def publish(self, news: News) -> None:
        """Tell everyone who listens to this job; called from any thread."""
        with self._lock:
            readers = tuple(self._readers.get(news.job_id, ()))
        for reader in readers:
            reader.push(news)

    def close(self) -> None:
        """End every stream, so that the service can stop."""
        with self._lock:
            self.closed = True
            readers = [reader for group in self._readers.values() for reader in group]
        for reader in readers:
            reader.push(None)

    @contextmanager
    def listening(self, job_id: str) -> Iterator["_Reader"]:
        """Hear the news of a job for as long as the context lasts; within a running event loop."""
        reader = _Reader()
        with self._lock:
            self._readers.setdefault(job_id, set()).add(reader)
            if self.closed:
                reader.push(None)
        try:
            yield reader
        finally:
            with self._lock:
                group = self._readers[job_id]
                group.discard(reader)
                if not group:
                    del self._readers[job_id]


class _Reader:
    """One listener's queue, filled from any thread and emptied in its own loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[News | None] = asyncio.Queue()

    def push(self, news: News | None) -> None:
        try:
            self._loop.call_soon_threadsafe(self._put, news)
        except RuntimeError:  # the loop is closed: its reader is gone
            return

    def _put(self, news: News | None) -> None:
        while self._queue.qsize() >= _KEPT:
            self._queue.get_nowait()
        self._queue.put_nowait(news)

    async def news(self, beat_s: float) -> AsyncIterator[News | None]:
        """News as it comes; None for every `beat_s` seconds without any; ends when the board closes."""
        while True:
            try:
                found = await asyncio.wait_for(self._queue.get(), beat_s)
            except TimeoutError:
                yield None
                continue
            if found is None:
                return
            yield found
