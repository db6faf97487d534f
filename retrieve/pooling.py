"""Few vectors for a page: its tokens in groups, one mean direction each."""

import numpy as np
import torch

from retrieve.encoder import Floats

ROUNDS = 4


def pooled(rows: Floats, count: int) -> Floats:
    """Group a page's vectors around `count` centres and return the centres, (count, dim) unit rows.

    Spherical k-means from centres spread along the reading order: neighbours on a page look alike, so
    a few rounds settle. It depends on the page alone. Pages of at most `count` vectors stay as they are.

    Args:
        rows: (n, dim) float32, unit rows.
        count: how many vectors to keep; at least 1.
    """
    if len(rows) <= count:
        return rows
    tokens = torch.from_numpy(np.ascontiguousarray(rows))
    starts = torch.arange(count) * len(rows) // count
    centres = tokens[starts]
    for _ in range(ROUNDS):
        owner = (tokens @ centres.t()).argmax(dim=1)
        sums = torch.zeros_like(centres).index_add_(0, owner, tokens)
        norms = sums.norm(dim=1, keepdim=True)
        centres = torch.where(norms > 1e-6, sums / norms.clamp_min(1e-6), centres)
    result: Floats = centres.numpy()
    return result
