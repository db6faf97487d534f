"""Weights in little space: matrices as bytes with one scale a row, everything else as it is."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]


def packed(weights: Mapping[str, NDArray[Any]]) -> Arrays:
    """Store each matrix as int8 with one float32 scale a row, numbers as float32, whole ones as they are."""
    stored: Arrays = {}
    for name, weight in weights.items():
        if weight.ndim == 2:
            scale = np.maximum(np.abs(weight).max(1, keepdims=True), 1e-12) / 127
            stored[f"{name}.int8"] = np.round(weight / scale).astype(np.int8)
            stored[f"{name}.scale"] = scale.astype(np.float32)
        else:
            kind = weight.dtype if weight.dtype.kind in "iu" else np.dtype(np.float32)
            stored[name] = np.ascontiguousarray(weight, dtype=kind)
    return stored


def unpacked(stored: Mapping[str, NDArray[Any]]) -> Arrays:
    """Undo `packed`, up to its rounding: within half of a row's scale."""
    weights: Arrays = {}
    for name, weight in stored.items():
        if name.endswith(".int8"):
            plain = name.removesuffix(".int8")
            weights[plain] = weight.astype(np.float32) * stored[f"{plain}.scale"]
        elif not name.endswith(".scale"):
            weights[name] = weight
    return weights
