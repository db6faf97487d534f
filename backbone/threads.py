"""Work of a model for a processor's cores: whole pieces side by side, each by one thread."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from typing import TypeVar

import torch

Piece = TypeVar("Piece")
Done = TypeVar("Done")


def cores() -> int:
    """The processor's cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _nothing() -> None:
    """What a thread does before its first piece, unless it is told to do more."""


class Crew:
    """The threads of one model, or of one kind of search: as many as torch may use, each with one inside products.

    Threads inside one product wait for each other at its end, so that one which lost its core to something else
    holds up all: on two busy cores a query of the text tower took 1,830 ms with two such threads and 62 ms
    with one. Pieces wait for nothing. The threads stay, since each keeps memory of its own for its products.
    """

    def __init__(self, ready: Callable[[], None] = _nothing) -> None:
        """Start no thread yet; `ready` is called once in each."""
        self._ready = ready

    def each(self, work: Callable[[Piece], Done], pieces: Sequence[Piece]) -> list[Done]:
        """Do the work on every piece; results in order.

        Args:
            work: has one thread for torch; modes such as `inference_mode` belong inside it.
            pieces: each independent of the others. A single one is done by the caller's thread.
        """
        if len(pieces) == 1:
            with _one_thread():
                return [work(pieces[0])]
        return list(self._pool.map(work, pieces))

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(torch.get_num_threads(), "crew", initializer=self._start)

    def _start(self) -> None:
        torch.set_num_threads(1)
        self._ready()


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
