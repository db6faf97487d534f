"""Made-up pages in the shape of a ColPali index, with hard near-ties, and queries from their own tokens."""

import numpy as np
from numpy.typing import NDArray

from retrieve.encoder import Floats

DIM = 128
TOPICS = 4096
TOPICS_A_PAGE = 48
SIBLINGS = 4
BLOCK = 256


def unit(rows: Floats) -> Floats:
    """Rows of length one."""
    scaled: Floats = (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)
    return scaled


def made_up(pages: int, tokens: int, *, queries: int, query_tokens: int) -> tuple[Floats, Floats]:
    """Pages (pages, tokens, dim) and queries (queries, query_tokens, dim), float32, always the same.

    A page mixes 48 of 4,096 topics in runs along the reading order, with a style of its own; four pages in a
    row share two thirds of their topics, so that each has near-ties. A query is some tokens of one page
    with noise.
    """
    rng = np.random.default_rng(0)
    topics = unit(rng.normal(size=(TOPICS, DIM)).astype(np.float32))
    found = np.empty((pages, tokens, DIM), dtype=np.float32)
    base = rng.choice(TOPICS, TOPICS_A_PAGE, replace=False)
    for page in range(pages):
        if page % SIBLINGS == 0:
            base = rng.choice(TOPICS, TOPICS_A_PAGE, replace=False)
        found[page] = _page(rng, topics, base, tokens=tokens, sibling=page % SIBLINGS > 0)
    own = rng.integers(pages, size=queries)
    asked = np.stack([found[page, rng.choice(tokens, query_tokens, replace=False)] for page in own])
    return found, unit(asked + rng.normal(scale=0.09, size=asked.shape).astype(np.float32))


def _page(
    rng: np.random.Generator, topics: Floats, base: NDArray[np.int64], *, tokens: int, sibling: bool
) -> Floats:
    mine = base.copy()
    if sibling:
        other = rng.random(TOPICS_A_PAGE) < 0.35
        mine[other] = rng.choice(TOPICS, int(other.sum()))
    runs = np.repeat(rng.integers(0, TOPICS_A_PAGE, size=tokens // 5 + 1), 5)[:tokens]
    style = unit(rng.normal(size=DIM).astype(np.float32))
    noise = rng.normal(scale=0.075, size=(tokens, DIM)).astype(np.float32)
    return unit(topics[mine[runs]] + 0.35 * style + noise)
