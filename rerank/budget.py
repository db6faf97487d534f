"""How deep a reranker may go: a deadline, what a pair costs, and the plan that follows."""

import json
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from domain.errors import StoreError
from domain.fingerprint import Fingerprint
from domain.page import PageId

Clock = Callable[[], float]
"""Seconds that only grow, such as `time.perf_counter`."""

WINDOW = 64
"""Batches remembered a model and size: enough for a quantile, few enough to follow a busier machine."""

ANY_SIZE = "any"
"""The size class of rerankers whose cost does not depend on the picture."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """When an answer is due, counted from the start of the whole search.

    Attributes:
        started: the clock's seconds when the search began, before the first stage.
        budget_ms: milliseconds that the whole search may take.
        clock: the clock that `started` was read from.
    """

    started: float
    budget_ms: float
    clock: Clock = time.perf_counter

    @classmethod
    def after(cls, budget_ms: float, clock: Clock = time.perf_counter) -> "Deadline":
        """A deadline this many milliseconds from now.

        Raises:
            ValueError: the budget is negative or not finite.
        """
        if not (math.isfinite(budget_ms) and budget_ms >= 0):
            raise ValueError(f"a budget is a number of milliseconds from 0, not {budget_ms}")
        return cls(clock(), budget_ms, clock)

    @property
    def spent_ms(self) -> float:
        """Milliseconds since the search began."""
        return (self.clock() - self.started) * 1000.0


def size_class(width_px: int, height_px: int) -> str:
    """Pages of a like number of pixels cost alike: the next power of two, in pixels, as `<=2^21px`."""
    return f"<=2^{max(width_px * height_px - 1, 1).bit_length()}px"


class CostModel:
    """What a pair costs, learned from the batches that were timed, for each model and size of page.

    A moving window of milliseconds a pair; quantiles of it ignore the odd slow batch and follow a lasting
    change within `WINDOW` batches. Safe to use from several threads. The library persists it as JSON.
    """

    def __init__(self) -> None:
        self._seen: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def observe(self, model: Fingerprint, size: str, *, pairs: int, elapsed_ms: float) -> None:
        """Note that a batch of `pairs` took `elapsed_ms`.

        Raises:
            ValueError: no pairs, or a time that is negative or not finite.
        """
        if pairs < 1 or not (math.isfinite(elapsed_ms) and elapsed_ms >= 0):
            raise ValueError(
                f"a batch has at least one pair and takes some time, not {pairs}, {elapsed_ms} ms"
            )
        with self._lock:
            window = self._seen.setdefault(_key(model, size), deque(maxlen=WINDOW))
            window.append(elapsed_ms / pairs)

    def ms_per_pair(self, model: Fingerprint, size: str = ANY_SIZE, *, quantile: float = 0.5) -> float | None:
        """Milliseconds that a pair takes at this quantile of the window; None before the first batch.

        A size of page never met yet borrows the costliest size of the same model.
        """
        with self._lock:
            window = self._seen.get(_key(model, size))
            if window:
                return _quantile(window, quantile)
            others = [w for key, w in self._seen.items() if key.startswith(f"{model.digest} ")]
            return max((_quantile(w, quantile) for w in others), default=None)

    def plan(
        self, model: Fingerprint, size: str = ANY_SIZE, *, budget_ms: float, spent_ms: float
    ) -> int | None:
        """How many pairs fit between now and the deadline; None where nothing was ever timed."""
        cost = self.ms_per_pair(model, size)
        if cost is None:
            return None
        left_ms = max(0.0, budget_ms - spent_ms)
        return int(min(left_ms / max(cost, 1e-6) + 1e-6, 1e9))  # a hair for the rounding of clocks

    def to_json(self) -> str:
        """Everything learned so far."""
        with self._lock:
            return json.dumps({key: list(window) for key, window in sorted(self._seen.items())})

    @classmethod
    def from_json(cls, text: str) -> "CostModel":
        """What `to_json` wrote.

        Raises:
            StoreError: the text is not that.
        """
        model = cls()
        try:
            for key, window in json.loads(text).items():
                values = [float(value) for value in window]
                if not all(math.isfinite(value) and value >= 0 for value in values):
                    raise ValueError(f"a cost of {key} is negative or not finite")
                model._seen[str(key)] = deque(values, maxlen=WINDOW)
        except (ValueError, TypeError, AttributeError) as error:
            raise StoreError(
                f"the learned reranking costs are damaged ({error}); delete the file, they are learned again"
            ) from error
        return model


def _one_size(_page: PageId) -> str:
    return ANY_SIZE


@dataclass(frozen=True, slots=True)
class Budget:
    """What a reranking stage needs to end in time.

    Attributes:
        deadline: when the answer is due.
        cost: what pairs cost; the stage adds every batch that it runs.
        batch: pairs a batch at most; the deadline is never passed by more than one batch.
        size_of: the size class of a page (see `size_class`).
        reserve_ms: what comes after the stage and must end before the deadline, too.
    """

    deadline: Deadline
    cost: CostModel = field(default_factory=CostModel)
    batch: int = 8
    size_of: Callable[[PageId], str] = _one_size
    reserve_ms: float = 0.0

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise ValueError(f"a batch has at least one pair, not {self.batch}")


def _key(model: Fingerprint, size: str) -> str:
    return f"{model.digest} {size}"


def _quantile(window: Iterable[float], quantile: float) -> float:
    values = sorted(window)
    return values[min(len(values) - 1, int(quantile * len(values)))]
