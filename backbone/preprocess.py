"""Several copies of a checkpoint's processor, so that threads can prepare batches at the same time."""

import copy
import queue
from collections.abc import Sequence
from typing import Any

import torch
from sentence_transformers.base.modules import Transformer


class Preprocessors:
    """Turns inputs into tensors; a tokenizer serves one thread at a time, so each thread borrows its own."""

    def __init__(self, module: Any, *, count: int, pin: bool) -> None:
        """Make copies of the first module's processor.

        Args:
            module: the first module of a sentence-transformers model.
            count: how many threads may prepare at once; a module that is no `Transformer` has one.
            pin: whether tensors go to pinned memory, from which a GPU fetches them while it computes.
        """
        self._pin = pin
        self._free: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._free.put(module)
        if isinstance(module, Transformer):
            for _ in range(count - 1):
                self._free.put(_twin(module))

    def __call__(self, inputs: Sequence[Any], **options: Any) -> dict[str, Any]:
        """The model's tensors for a batch; options as `Transformer.preprocess` takes them."""
        module = self._free.get()
        try:
            features: dict[str, Any] = dict(module.preprocess(list(inputs), **options))
        finally:
            self._free.put(module)
        if self._pin:
            return {key: v.pin_memory() if torch.is_tensor(v) else v for key, v in features.items()}
        return features


def _twin(module: Transformer) -> Any:
    """The module again, with the same weights and a processor of its own."""
    twin: Any = copy.copy(module)
    twin.processor = copy.deepcopy(module.processor)
    twin.input_formatter = copy.copy(module.input_formatter)
    twin.input_formatter.processor = twin.processor
    return twin
