"""The one thread that indexes what was accepted, job after job, and takes up what was left undone."""

import logging
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager

from domain.errors import BusyError, NotFoundError
from library.library import Library
from library.results import Job, Progress
from service.board import Board, News
from service.metrics import Metrics

log = logging.getLogger(__name__)


class Worker:
    """Drains the library's jobs. Stopping finishes the batch in hand; the rest waits for the next start."""

    def __init__(self, library: Library, board: Board, metrics: Metrics, *, retry_s: float = 2.0) -> None:
        """Work on this library and tell this board; busy or broken jobs are tried again after `retry_s`."""
        self._library, self._board, self._metrics, self._retry_s = library, board, metrics, retry_s
        self._wake, self._stop = threading.Event(), threading.Event()
        self._stopped_jobs: set[str] = set()
        self._broken: dict[str, float] = {}
        self._turn = threading.Condition()
        self._guests = 0
        self._thread = threading.Thread(target=self._drain, name="recto-ingest", daemon=True)

    def start(self) -> None:
        """Begin, first with the jobs that an earlier run left."""
        self._thread.start()

    def stop(self, timeout_s: float = 60.0) -> None:
        """Finish the batch in hand and end."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def wake(self) -> None:
        """Say that there is a new job."""
        self._wake.set()

    def halt(self, job_id: str) -> None:
        """Leave this job after the batch in hand: somebody cancelled it."""
        self._stopped_jobs.add(job_id)
        self._board.publish(News(job_id, None))

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let somebody else write: the worker leaves its job after the batch in hand and comes back after."""
        with self._turn:
            self._guests += 1
        try:
            yield
        finally:
            with self._turn:
                self._guests -= 1
                self._turn.notify_all()

    @property
    def alive(self) -> bool:
        """Whether the thread works."""
        return self._thread.is_alive()

    def depth(self) -> int:
        """How many jobs wait or run."""
        return len(self._library.unfinished())

    def _drain(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            with self._turn:
                self._turn.wait_for(lambda: not self._guests)
            job = self._next()
            if job is None:
                self._wake.wait(self._retry_s if self._broken else None)
                continue
            self._work(job)

    def _next(self) -> Job | None:
        now = time.monotonic()
        for job_id in self._library.unfinished():
            if self._broken.get(job_id, 0.0) <= now:
                return self._library.job(job_id)
        return None

    def _work(self, job: Job) -> None:
        try:
            self._run(job)
            self._broken.pop(job.id, None)
        except BusyError:
            log.info("another process writes to this library; waiting", extra={"job": job.id})
            self._later(job)
        except NotFoundError:
            log.info("a job ended while it was worked on", extra={"job": job.id})
        except Exception:
            log.exception("a job failed; it will be tried again", extra={"job": job.id})
            self._later(job)
        finally:
            self._board.publish(News(job.id, None))

    def _run(self, job: Job) -> None:
        done, last = job.pages_done, time.monotonic()
        with _ended(self._library.process(job.id)) as steps:
            for step in steps:
                now = time.monotonic()
                self._tell(step, step.pages_done - done, now - last)
                done, last = step.pages_done, now
                if self._stop.is_set() or self._guests or job.id in self._stopped_jobs:
                    return

    def _tell(self, step: Progress, pages: int, seconds: float) -> None:
        self._metrics.indexed(max(pages, 0), seconds)
        self._board.publish(News(step.job_id, step))

    def _later(self, job: Job) -> None:
        waited = self._broken.get(job.id)
        self._broken[job.id] = time.monotonic() + (self._retry_s if waited is None else 10 * self._retry_s)


@contextmanager
def _ended(steps: Iterator[Progress]) -> Iterator[Iterator[Progress]]:
    """Close the steps at the end, which lets go of the library's lock in the thread that took it."""
    try:
        yield steps
    finally:
        if isinstance(steps, Generator):
            steps.close()
