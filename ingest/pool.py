"""Worker processes kept warm, lent to one request at a time, replaced when they die."""

import queue
import threading
from collections.abc import Mapping
from typing import Any

from domain.errors import DocumentError
from ingest.limits import Limits
from ingest.process import Worker
from ingest.sandbox import Confinement
from ingest.wire import Message


class Pool:
    """At most `size` workers, started when first needed. Safe to use from several threads."""

    def __init__(self, limits: Limits, size: int) -> None:
        """Remember the limits; nothing is started yet.

        Raises:
            ValueError: no worker is allowed.
        """
        if size < 1:
            raise ValueError(f"rendering needs at least one worker, not {size}")
        self.limits = limits
        self.size = size
        self._idle: queue.LifoQueue[Worker | None] = queue.LifoQueue()
        for _ in range(size):
            self._idle.put(None)
        self._lock = threading.Lock()
        self._living: set[Worker] = set()
        self._closed = False

    def ask(self, fields: Mapping[str, Any]) -> Message:
        """Ask whichever worker is free first.

        Raises:
            DocumentError: the document is at fault; other requests are not affected.
        """
        worker = self._idle.get()
        try:
            if worker is None or not worker.alive:
                self._buried(worker)
                worker = self._start()
            return worker.ask(fields)
        finally:
            self._idle.put(self._kept(worker))

    def confinement(self) -> Confinement:
        """What holds a worker on this machine, beyond the plain limits."""
        worker = self._start()
        try:
            return worker.confinement
        finally:
            self._buried(worker)

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids of the living workers."""
        with self._lock:
            return tuple(worker.pid for worker in self._living)

    def close(self) -> None:
        """End all workers; requests under way fail."""
        with self._lock:
            self._closed = True
            living, self._living = self._living, set()
        for worker in living:
            worker.kill()

    def _start(self) -> Worker:
        if self._closed:
            raise DocumentError("crashed", "rendering was stopped; run it again to go on")
        worker = Worker(self.limits)
        with self._lock:
            self._living.add(worker)
        return worker

    def _kept(self, worker: Worker | None) -> Worker | None:
        if worker is None:
            return None
        if worker.alive and worker.answers < self.limits.pages_per_worker and not self._closed:
            return worker
        self._buried(worker)
        return None

    def _buried(self, worker: Worker | None) -> None:
        if worker is not None:
            worker.kill()
            with self._lock:
                self._living.discard(worker)
