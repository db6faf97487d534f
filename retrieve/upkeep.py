"""Work that may wait: done on a thread of its own, in the way of neither searches nor writes."""

import logging
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import faiss
import torch

from domain.errors import StoreError

log = logging.getLogger(__name__)


class Upkeep:
    """Does one piece of work again and again, when asked to, one at a time."""

    def __init__(self, work: Callable[[], None]) -> None:
        """Take work that finds out by itself whether there is anything to do."""
        self._work = work
        self._pool = ThreadPoolExecutor(1, "recto-upkeep", initializer=_leave_room)
        self._asked: list[Future[None]] = []

    def ask(self) -> None:
        """Have the work done soon; one that waits to begin does for both."""
        self._asked = [one for one in self._asked if not one.done() or one.exception()]
        if sum(not one.done() for one in self._asked) < 2:
            self._asked.append(self._pool.submit(self._try))

    def do(self) -> None:
        """Have the work done now, after what was asked for.

        Raises:
            Exception: what the work raised, trouble with files too.
        """
        self._pool.submit(self._work).result()

    def wait(self) -> None:
        """Wait until what was asked for is done.

        Raises:
            Exception: what the work raised, other than trouble with files.
        """
        asked, self._asked = self._asked, []
        for one in asked:
            one.result()

    def close(self) -> None:
        """Wait, and end the thread."""
        try:
            self.wait()
        finally:
            self._pool.shutdown()

    def _try(self) -> None:
        try:
            self._work()
        except (StoreError, OSError) as error:
            # nothing is lost: the files of before still count, and the next write asks again
            log.warning("files of the index were not tidied up: %s", error)


def _leave_room() -> None:
    """Let FAISS use half of the cores on this thread, so that searches keep the others.

    Never more threads than OpenMP may start (`OMP_THREAD_LIMIT`): OpenBLAS inside FAISS shares a product among as many
    as it was promised and waits for ever for those that do not come.
    """
    torch.get_num_threads()  # torch sets a thread's number when it is first used there, over what is set before
    half, limit = (os.cpu_count() or 1) // 2, os.environ.get("OMP_THREAD_LIMIT", "")
    faiss.omp_set_num_threads(max(1, min(half, int(limit)) if limit.isdecimal() else half))
