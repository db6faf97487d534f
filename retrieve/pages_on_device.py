"""Page vectors on a torch device within a budget, the least recently used leaving first, and their MaxSim there."""

import functools
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from retrieve.maxsim import Kind, Quantised, Scorer
from retrieve.segment import TYPES

log = logging.getLogger(__name__)

BLOCK = 32
"""Vectors that are kept together; a page's last block is filled with its last vector, which changes no maximum."""
STEP_BLOCKS = 16384
"""Blocks multiplied in one call: some 300 MB of numbers on the way."""
EXACT_WIDTH = 1040
"""Dimensions up to which sums of products of bytes are exact in float32: 127 * 127 * 1040 < 2^24."""

Read = Callable[[int], Quantised]
"""From a position in a list of pages to a page's vectors."""


class PagesOnDevice:
    """Compares a query with many pages in one call on a device, and keeps those pages there.

    Scores are those of `retrieve.maxsim.Scorer`, to the last bit.
    """

    def __init__(self, device: torch.device, *, budget_bytes: int, dim: int, kind: Kind) -> None:
        """Take the memory.

        Raises:
            RuntimeError: the device has less.
        """
        blocks = budget_bytes // (BLOCK * (dim * TYPES[kind].itemsize + 4))
        number = torch.uint8 if kind == "int8" else torch.float16
        self._stored = TYPES[kind]
        self._codes = torch.empty((blocks, BLOCK, dim), dtype=number, device=device)
        self._scales = torch.empty((blocks, BLOCK), dtype=torch.float32, device=device)
        self._free = np.arange(blocks)
        self._left = blocks
        self._held: OrderedDict[int, NDArray[np.int64]] = OrderedDict()
        self._mutex = threading.Lock()

    def __len__(self) -> int:
        """How many pages are there now."""
        return len(self._held)

    def scores(
        self, scorer: Scorer, uids: NDArray[np.int64], lengths: NDArray[np.int64], read: Read
    ) -> NDArray[np.float64]:
        """Score pages, (pages,) float64, in order.

        Args:
            scorer: holds the query.
            uids: the pages' numbers, each once; what stands under a number never changes.
            lengths: how many vectors each page has, at least one.
            read: from a position in `uids` to the page's vectors.
        """
        own = torch.from_numpy(scorer.operand(self._stored).rows).to(self._codes.device).t()
        needed = -(-lengths // BLOCK)
        totals = np.empty(len(uids))
        with self._mutex:
            for group in _groups(needed, len(self._free)):
                if needed[group[0]] > len(self._free):  # one page, larger than all the room there is
                    page = read(int(group[0]))
                    span = np.array([[0], [len(page.scales)]])
                    totals[group] = scorer.scores(page.codes, page.scales, span)
                    continue
                self._fetch(uids, needed, read, group)
                blocks = np.concatenate([self._held[uid] for uid in uids[group].tolist()])
                where = torch.from_numpy(blocks).to(self._codes.device)
                best = best_products(own, self._codes[where], self._scales[where]).cpu().numpy()
                starts = np.cumsum(needed[group]) - needed[group]
                totals[group] = scorer.totals(np.maximum.reduceat(best, starts, axis=0), self._stored)
        return totals

    def _fetch(
        self, uids: NDArray[np.int64], needed: NDArray[np.int64], read: Read, group: NDArray[np.int64]
    ) -> None:
        """Bring what is missing of a group that fits; what was not used for longest makes room."""
        missing = []
        for at in group.tolist():
            uid = int(uids[at])
            if uid in self._held:
                self._held.move_to_end(uid)
            else:
                missing.append(at)
        count = int(needed[missing].sum())
        while self._left < count:
            _, blocks = self._held.popitem(last=False)
            self._free[self._left : self._left + len(blocks)] = blocks
            self._left += len(blocks)
        if not missing:
            return
        codes, scales = self._staged([read(at) for at in missing], needed[missing])
        taken = self._free[self._left - count : self._left].copy()
        where = torch.from_numpy(taken).to(self._codes.device)
        self._codes[where] = codes.to(self._codes.device, non_blocking=True)
        self._scales[where] = scales.to(self._codes.device, non_blocking=True)
        self._left -= count
        for at, blocks in zip(missing, np.split(taken, np.cumsum(needed[missing])[:-1]), strict=True):
            self._held[int(uids[at])] = blocks

    def _staged(
        self, pages: Sequence[Quantised], needed: NDArray[np.int64]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Pages in whole blocks, on the host; a last block is filled up with the page's last vector."""
        shape = (int(needed.sum()), *self._codes.shape[1:])
        pin = self._codes.device.type == "cuda"
        codes = torch.empty(shape, dtype=self._codes.dtype, pin_memory=pin)
        scales = torch.empty(shape[:2], dtype=torch.float32, pin_memory=pin)
        all_codes, all_scales = codes.numpy().reshape(-1, shape[2]), scales.numpy().reshape(-1)
        start = 0
        for page, blocks in zip(pages, needed.tolist(), strict=True):
            middle, end = start + len(page.scales), start + blocks * BLOCK
            all_codes[start:middle], all_scales[start:middle] = page.codes, page.scales
            all_codes[middle:end], all_scales[middle:end] = page.codes[-1], page.scales[-1]
            start = end
        return codes, scales


def hot_pages(device: str, budget_bytes: float, *, dim: int, kind: Kind) -> PagesOnDevice | None:
    """Room for pages on a device; None where none is asked for or, with one warning, where there is none."""
    if budget_bytes < 1:
        return None
    try:
        return PagesOnDevice(torch.device(device), budget_bytes=int(budget_bytes), dim=dim, kind=kind)
    except RuntimeError as error:
        refused(device, str(error))
        return None


@functools.cache
def refused(device: str, reason: str) -> None:
    """Warn of a refusal, once for each reason."""
    log.warning("vectors are compared on the processor, %s refused: %s", device, reason)


def best_products(own: torch.Tensor, codes: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    """The best scaled product of each query token with each block, (blocks, q); exact before scaling.

    Args:
        own: (dim, q) int8 or float64, a query as `Scorer.operand` gives it.
        codes: (blocks, rows, dim) uint8 or float16.
        scales: (blocks, rows) float32.
    """
    halves = codes.dtype == torch.float16
    work = torch.float64 if halves or len(own) > EXACT_WIDTH else torch.float32
    rows = codes.to(work) if halves else codes.to(work) - 128
    products = rows @ own.to(work)
    if not halves:
        products = products.float()
    return (products * scales[..., None]).amax(dim=1)


def _groups(needed: NDArray[np.int64], room: int) -> Iterator[NDArray[np.int64]]:
    """Positions, in order, in groups that fit at once; a page that never fits stands alone."""
    ends, first = np.cumsum(needed), 0
    while first < len(needed):
        before = int(ends[first - 1]) if first else 0
        last = int(np.searchsorted(ends, before + min(room, STEP_BLOCKS), side="right"))
        yield np.arange(first, max(last, first + 1))
        first = max(last, first + 1)
