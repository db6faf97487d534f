"""Preprocessed pixels of pages seen lately, for rerankers whose vision tower must run for every query."""

import copy
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
import xxhash
from PIL import Image
from torch import Tensor


def page_key(image: Image.Image) -> str:
    """A name for a page's pixels: equal pages have equal names, whatever they are called elsewhere."""
    return f"{image.width}x{image.height}:{xxhash.xxh3_128_hexdigest(image.tobytes())}"


class _Kept:
    """Tensors by page, the least recently used forgotten first; safe to use from several threads."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.held = self.hits = self.misses = 0
        self._turn = threading.Lock()
        self._pages: OrderedDict[str, dict[str, Tensor]] = OrderedDict()

    def get(self, key: str) -> dict[str, Tensor] | None:
        with self._turn:
            found = self._pages.get(key)
            if found is not None:
                self._pages.move_to_end(key)
            self.hits += found is not None
            self.misses += found is None
            return found

    def put(self, key: str, page: dict[str, Tensor]) -> None:
        size = _bytes(page)
        with self._turn:
            if size > self.max_bytes or key in self._pages:
                return
            self._pages[key] = page
            self.held += size
            while self.held > self.max_bytes:
                _, oldest = self._pages.popitem(last=False)
                self.held -= _bytes(oldest)


class PixelCache:
    """Stands in for an image processor; runs it for the pages that it has not seen with these options.

    Exact where each page's tensors can be told apart: one slice of every tensor a page, or rows of patches that
    `image_grid_thw` counts. Other processors, such as those that pad pages to one another, run as before.
    """

    def __init__(self, processor: Any, *, max_bytes: int) -> None:
        """Keep up to `max_bytes` of tensors, shared by all copies."""
        self.processor = processor
        self.kept = _Kept(max_bytes)

    def __getattr__(self, name: str) -> Any:
        """Whatever else is asked of an image processor."""
        if name == "processor":  # not there yet while a copy is being made
            raise AttributeError(name)
        return getattr(self.processor, name)

    def __deepcopy__(self, memo: dict[int, Any]) -> "PixelCache":
        """A copy for another thread: a processor of its own, the same pages."""
        twin = PixelCache(copy.deepcopy(self.processor, memo), max_bytes=0)
        twin.kept = self.kept
        return twin

    def __call__(self, images: Any = None, **options: Any) -> Any:
        """The processor's tensors for all pages of a batch, in order."""
        pages = _flat(images)
        if pages is None or options.get("return_tensors") != "pt":
            return self.processor(images=images, **options)
        made_with = repr(sorted(options.items()))
        keys = [f"{page_key(page)}:{made_with}" for page in pages]
        found = {key: self.kept.get(key) for key in dict.fromkeys(keys)}
        whole: Any = None
        for page, key in zip(pages, keys, strict=True):
            if found[key] is None:
                whole = self.processor(images=[page], **options)
                if not _separable(whole):
                    return self.processor(images=images, **options)
                found[key] = dict(whole)
                self.kept.put(key, dict(whole))
        parts = [part for part in (found[key] for key in keys) if part is not None]
        return _joined(parts)


def _joined(parts: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _flat(images: Any) -> list[Image.Image] | None:
    """The pages of a batch in order; None where they are anything but pictures, one or several a message."""
    if not isinstance(images, list | tuple):
        return None
    flat = [page for one in images for page in (one if isinstance(one, list | tuple) else [one])]
    return flat if flat and all(isinstance(page, Image.Image) for page in flat) else None


def _separable(made: Any) -> bool:
    """Whether a lone page's tensors can be put behind another page's."""
    tensors = dict(made)
    if not all(torch.is_tensor(tensor) for tensor in tensors.values()):
        return False
    if set(tensors) == {"pixel_values", "image_grid_thw"}:
        return len(tensors["pixel_values"]) == int(tensors["image_grid_thw"].prod())
    return (
        set(tensors) == {"pixel_values"}
        and tensors["pixel_values"].ndim == 4
        and len(made["pixel_values"]) == 1
    )


def _bytes(page: dict[str, Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in page.values())
