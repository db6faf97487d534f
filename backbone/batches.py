"""Batches of equal-sized inputs, prepared while the model runs, halved when memory runs out."""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

import torch

from domain.errors import ModelError

_log = logging.getLogger(__name__)
_ON_A_CPU = "DefaultCPUAllocator: "

In = TypeVar("In")
Ready = TypeVar("Ready")
Out = TypeVar("Out")


def plan(sizes: Sequence[int], *, limit: int) -> list[list[int]]:
    """Group positions so that no batch, padded to its longest member, exceeds the limit.

    Largest first, so that running out of memory happens at the start, and neighbours in size share a
    batch. An input above the limit travels alone.

    Args:
        sizes: tokens of each input.
        limit: tokens in a batch, padding included.
    """
    batches: list[list[int]] = []
    for position in sorted(range(len(sizes)), key=lambda i: (-sizes[i], i)):
        longest = sizes[batches[-1][0]] if batches else 0
        if batches and longest * (len(batches[-1]) + 1) <= limit:
            batches[-1].append(position)
        else:
            batches.append([position])
    return batches


class Batches(Generic[In, Ready, Out]):
    """Runs a model over inputs in token batches; remembers the largest batch that fitted in memory."""

    def __init__(
        self,
        prepare: Callable[[Sequence[In]], Ready],
        forward: Callable[[Ready], Sequence[Out]],
        *,
        limit: int,
        name: str,
        ahead: int = 1,
    ) -> None:
        """Prepare runs in `ahead` other threads, as many batches before forward; name is for error messages."""
        self._prepare = prepare
        self._forward = forward
        self._limit = limit
        self._name = name
        self._ahead = ahead

    def run(self, items: Sequence[In], sizes: Sequence[int]) -> list[Out]:
        """One output an item, in the order of the items.

        Raises:
            ModelError: a single item does not fit in memory.
        """
        results: dict[int, Out] = {}
        waiting = plan(sizes, limit=self._limit)
        coming: deque[tuple[list[int], Future[Ready]]] = deque()
        with ThreadPoolExecutor(max_workers=self._ahead) as pool:
            while waiting or coming:
                while waiting and len(coming) <= self._ahead:
                    batch = waiting.pop(0)
                    coming.append((batch, pool.submit(self._prepare, [items[i] for i in batch])))
                batch, ready = coming.popleft()
                outputs = self._tried(ready.result())
                if outputs is None:
                    waiting[:0] = self._halved(batch, sizes)
                else:
                    results.update(zip(batch, outputs, strict=True))
        return [results[i] for i in range(len(items))]

    def _tried(self, prepared: Ready) -> Sequence[Out] | None:
        try:
            return self._forward(prepared)
        except RuntimeError as error:
            if not _out_of_memory(error):
                raise
        if torch.cuda.is_available():  # not before the error is gone, which still holds the batch's tensors
            torch.cuda.empty_cache()
        return None

    def _halved(self, batch: Sequence[int], sizes: Sequence[int]) -> list[list[int]]:
        if len(batch) == 1:
            raise ModelError(
                f"{self._name}: one input of {sizes[batch[0]]} tokens does not fit in memory; lower "
                "max_visual_tokens"
            )
        middle = len(batch) // 2
        self._limit = min(self._limit, middle * sizes[batch[0]])
        _log.warning("%s ran out of memory; batches are now %s tokens", self._name, self._limit)
        return [list(batch[:middle]), list(batch[middle:])]


def _out_of_memory(error: RuntimeError) -> bool:
    """Whether memory ran out: a class of its own on a GPU, only a sentence on a CPU."""
    return isinstance(error, torch.OutOfMemoryError) or _ON_A_CPU in str(error)
