"""Measures an encoder alone on a directory of questions: plain MaxSim over every page, no index, no library."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pymupdf
from numpy.typing import NDArray
from PIL import Image

from evaluation.questions import Question, read_qrels, read_questions
from retrieve.encoder import Encoder, Vectors

RENDER_PX = 2_100_000
"""Pixels at which pages are rendered: about an A4 page at 150 dpi."""


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """Questions with their judgements, and the pages' vectors.

    Attributes:
        names: `<document>#<page index from 0>` of every page.
        pages: their vectors, in the same order.
    """

    questions: tuple[Question, ...]
    qrels: dict[str, dict[str, int]]
    names: tuple[str, ...]
    pages: list[Vectors]


def pictures(directory: Path, documents: Sequence[str] | None = None) -> Iterator[tuple[str, Image.Image]]:
    """Render every page of the directory's PDFs, RGB, with its name."""
    for path in sorted((directory / "pdfs").glob("*.pdf")):
        if documents is not None and path.stem not in documents:
            continue
        with pymupdf.open(path) as document:
            for number, page in enumerate(document):
                scale = (RENDER_PX / (page.rect.width * page.rect.height)) ** 0.5
                pixels = page.get_pixmap(matrix=pymupdf.Matrix(scale, scale), alpha=False)
                image = Image.frombytes("RGB", (pixels.width, pixels.height), pixels.samples)
                yield f"{path.stem}#{number}", image


def open_probe(
    encoder: Encoder,
    directory: Path,
    *,
    documents: Sequence[str] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Probe:
    """Embed a directory's pages (all, or of some documents) and read the questions about them."""
    names, pages = [], []
    for name, image in pictures(directory, documents):
        names.append(name)
        pages.extend(encoder.pages([image]))
        if progress:
            progress(len(names))
    return Probe(*_judged(directory, names), tuple(names), pages)


def _judged(directory: Path, names: Sequence[str]) -> tuple[tuple[Question, ...], dict[str, dict[str, int]]]:
    questions, _ = read_questions(directory / "queries.jsonl")
    judgements, _ = read_qrels(directory / "qrels.tsv")
    known = set(names)
    qrels: dict[str, dict[str, int]] = {}
    for row in judgements:
        if row.corpus_id in known:
            qrels.setdefault(row.query, {})[row.corpus_id] = row.score
    return tuple(question for question in questions if question.id in qrels), qrels


def similarities(probe: Probe, queries: Sequence[Vectors]) -> NDArray[np.float32]:
    """Weighted MaxSim of every query with every page, (queries, pages); a page without rows gets 0."""
    scores = np.zeros((len(queries), len(probe.pages)), np.float32)
    rows = np.concatenate([query.rows for query in queries])
    starts = np.cumsum([0, *(len(query.rows) for query in queries[:-1])])
    weights = np.concatenate([q.weights if q.weights is not None else np.ones(len(q.rows)) for q in queries])
    for number, page in enumerate(probe.pages):
        if len(page.rows):
            best = (rows @ page.rows.T).max(axis=1) * weights
            scores[:, number] = np.add.reduceat(best, starts)
    return scores
