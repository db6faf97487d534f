"""Pages to search: made up in the shape of a ColPali index, with hard near-ties, or real ones multiplied."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evaluation.folder import read_folder
from evaluation.verbs import cache_directory
from library.library import Library
from library.settings import Settings
from retrieve.encoder import Floats
from retrieve.engine import Engine
from retrieve.generations import Generations

DIM = 128
TOPICS = 4096
TOPICS_A_PAGE = 48
SIBLINGS = 4
NOISE = 0.05
"""The length of what is added to a vector of length one, so that copies of a page are near-ties."""


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


def real(folder: Path, *, queries: int) -> tuple[list[Floats], list[Floats]]:
    """Every page of a folder of questions as `recto evaluate pages` has stored it, and questions from all over it.

    A question's vectors are multiplied by their weights, as other libraries take plain sums only.

    Returns:
        Pages, each (its vectors, dim), and for each question (its words, dim).

    Raises:
        SystemExit: the folder was not evaluated before with the default settings.
    """
    files, settings = read_folder(folder), Settings()
    directory = cache_directory(files, settings)
    generations = Generations(directory / "vectors" / "visual")
    name = generations.current()
    if name is None:
        raise SystemExit(
            f"the pages of {folder} are not embedded yet; run `recto evaluate pages {folder}` first"
        )
    with Library.open(directory, settings) as library:
        encoder = library.encoder
        asked = [question.text for question in files.questions[:: max(1, len(files.questions) // queries)]]
        found = encoder.queries(asked[:queries])
    engine = Engine.open(generations.path(name), fingerprint=encoder.fingerprint, dim=DIM)
    stored = [engine.vectors(page) for page in sorted(engine.pages())]
    engine.close()
    return [unit(page.rows) for page in stored if page is not None], [
        (own.rows * (1 if own.weights is None else own.weights[:, None])).astype(np.float32) for own in found
    ]


def resized(pages: list[Floats], count: int, tokens: int) -> Floats:
    """Pages and copies, (count, tokens, dim): longer ones are cut, shorter ones repeat, which changes no maximum."""
    return np.stack(list(islice(multiplied([np.resize(page, (tokens, DIM)) for page in pages]), count)))


def multiplied(pages: list[Floats]) -> Iterator[Floats]:
    """The pages, then copies of them with noise, without end; the noise is cut from one large draw."""
    rng = np.random.default_rng(0)
    size = max(page.size for page in pages)
    draw = rng.normal(scale=NOISE / DIM**0.5, size=size * 8).astype(np.float32)
    yield from pages
    while True:
        for page in pages:
            start = int(rng.integers(len(draw) - page.size))
            yield unit(page + draw[start : start + page.size].reshape(page.shape))
