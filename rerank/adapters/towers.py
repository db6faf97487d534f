"""Vision-tower outputs of pages seen lately: a tower that never sees the query need not run twice."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

QUERY_BLIND = frozenset({"qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_vl_moe"})
"""Families whose vision tower reads one image at a time and nothing else, so that its output can be kept."""


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """One image's features: the merged rows, and the rows handed to deeper layers."""

    rows: Tensor
    deep: tuple[Tensor, ...]

    @property
    def size(self) -> int:
        return sum(t.numel() * t.element_size() for t in (self.rows, *self.deep))


class TowerCache(nn.Module):
    """Stands in for a vision tower; runs it for the images whose features are not at hand.

    Exact: in the families of `QUERY_BLIND` images attend within themselves only, so an image's features
    depend on its pixels alone. `keys` names the images of the next call, in order; None passes
    everything through.
    """

    def __init__(self, tower: nn.Module, *, max_bytes: int) -> None:
        """Keep up to `max_bytes` of features, the least recently used go first."""
        super().__init__()
        self.tower = tower
        self.keys: Sequence[str] | None = None
        self.hits = 0
        self.misses = 0
        self._max_bytes = max_bytes
        self._held = 0
        self._seen: OrderedDict[str, _Seen] = OrderedDict()
        self._kind: Any = None

    def clear(self) -> None:
        """Forget everything."""
        self._seen.clear()
        self._held = 0

    def __getattr__(self, name: str) -> Any:
        """Whatever else the model asks of its tower."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("tower"), name)

    def forward(self, hidden_states: Tensor, grid_thw: Tensor, **options: Any) -> Any:
        """The tower's output for all images of a batch.

        Args:
            hidden_states: (patches of all images, values) pixels.
            grid_thw: (images, 3) patches in time, height and width.
            options: passed on to the tower.
        """
        if self.keys is None or len(self.keys) != len(grid_thw):
            return self.tower(hidden_states, grid_thw=grid_thw, **options)
        found = {key: self._take(key) for key in dict.fromkeys(self.keys)}
        absent = [key for key, seen in found.items() if seen is None]
        self.hits += len(self.keys) - len(absent)
        self.misses += len(absent)
        if absent:
            first = [self.keys.index(key) for key in absent]
            found.update(zip(absent, self._run(hidden_states, grid_thw, first, options), strict=True))
        features = [seen for seen in (found[key] for key in self.keys) if seen is not None]
        output: dict[str, Any] = {"pooler_output": torch.cat([seen.rows for seen in features])}
        if features[0].deep:
            output["deepstack_features"] = [
                torch.cat(layer) for layer in zip(*(s.deep for s in features), strict=True)
            ]
        return self._kind(**output)

    def _take(self, key: str) -> _Seen | None:
        seen = self._seen.get(key)
        if seen is not None:
            self._seen.move_to_end(key)
        return seen

    def _run(
        self, pixels: Tensor, grids: Tensor, chosen: Sequence[int], options: dict[str, Any]
    ) -> list[_Seen]:
        patches = torch.split(pixels, grids.prod(-1).tolist())
        wanted = grids[list(chosen)]
        output = self.tower(torch.cat([patches[i] for i in chosen]), grid_thw=wanted, **options)
        self._kind = type(output)
        merged = int(self.tower.spatial_merge_size)  # type: ignore[arg-type]  # nn.Module hides its attributes' types
        sizes = (wanted.prod(-1) // merged**2).tolist()
        rows = torch.split(output.pooler_output, sizes)
        layers = [torch.split(layer, sizes) for layer in output.get("deepstack_features") or ()]
        made = []
        for position, part in enumerate(rows):
            seen = _Seen(part.clone(), tuple(layer[position].clone() for layer in layers))
            self._keep(self.keys[chosen[position]] if self.keys else "", seen)
            made.append(seen)
        return made

    def _keep(self, key: str, seen: _Seen) -> None:
        if seen.size > self._max_bytes:
            return
        self._seen[key] = seen
        self._held += seen.size
        while self._held > self._max_bytes:
            _, oldest = self._seen.popitem(last=False)
            self._held -= oldest.size
