"""Pages to search: made up in the shape of a ColPali index, with hard near-ties, or real ones multiplied."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pymupdf
from numpy.typing import NDArray
from PIL import Image

from domain.model import ModelSettings
from evaluation.questions import read_questions
from retrieve.adapters.builtin import load
from retrieve.encoder import Floats

DIM = 128
TOPICS = 4096
TOPICS_A_PAGE = 48
SIBLINGS = 4
REAL_PAGES = 240
RENDER_PX = 2_100_000
"""Pixels at which pages are rendered: about an A4 page at 150 dpi."""
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


def real(directory: Path, count: int, tokens: int, *, queries: int) -> tuple[Floats, list[Floats]]:
    """Pages of real documents by the built-in encoder, copied with noise, and real questions about them.

    A page has `tokens` vectors: longer ones are cut, shorter ones repeat theirs, which changes no maximum.
    A question's vectors are multiplied by their weights, as every contender takes plain sums only.

    Returns:
        Pages (count, tokens, dim), and for each question (its words, dim).
    """
    encoder = load("builtin", settings=ModelSettings())
    named = dict(islice(pictures(directory), REAL_PAGES))
    own = [vectors.rows for image in named.values() for vectors in encoder.pages([image])]
    own = [np.resize(rows, (tokens, DIM)) for rows in own if len(rows)]
    documents = {name.partition("#")[0] for name in named}
    questions, _ = read_questions(directory / "queries.jsonl")
    asked = [question.text for question in questions if question.doc in documents]
    found = np.stack(list(islice(multiplied(own), count)))
    return found, [
        (vectors.rows * (1 if vectors.weights is None else vectors.weights[:, None])).astype(np.float32)
        for vectors in encoder.queries(asked[:queries])
    ]


def pictures(directory: Path) -> Iterator[tuple[str, Image.Image]]:
    """Render every page of the directory's PDFs, RGB, with its name."""
    for path in sorted((directory / "pdfs").glob("*.pdf")):
        with pymupdf.open(path) as document:
            for number, page in enumerate(document):
                scale = (RENDER_PX / (page.rect.width * page.rect.height)) ** 0.5
                pixels = page.get_pixmap(matrix=pymupdf.Matrix(scale, scale), alpha=False)
                image = Image.frombytes("RGB", (pixels.width, pixels.height), pixels.samples)
                yield f"{path.stem}#{number}", image


def multiplied(pages: list[Floats]) -> Iterator[Floats]:
    """The pages, then copies of them with noise, without end; the noise is cut from one large draw."""
    rng = np.random.default_rng(0)
    size = pages[0].size
    draw = rng.normal(scale=NOISE / DIM**0.5, size=size * 8).astype(np.float32)
    yield from pages
    while True:
        for page in pages:
            start = int(rng.integers(len(draw) - size))
            yield unit(page + draw[start : start + size].reshape(page.shape))
