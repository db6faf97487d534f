"""What indexing would cost, before it is spent: measured on a few pages, multiplied out."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from domain.errors import DocumentError, Failure
from ingest.layer import unpack
from ingest.ocr import missing
from ingest.render import Rendered, Renderer
from library.contents import lacks_words, picture
from library.enrichment import completed, reads_pictures
from library.models import Models
from library.results import FailedInput
from library.settings import Settings
from library.sources import sources, stem
from retrieve.dense import PageText
from retrieve.encoder import Vectors

SAMPLE_PAGES = 6
BYTES_PER_NUMBER = {"int8": 1, "float16": 2}
BYTES_PER_VECTOR = 12
"""Token vectors are stored with a float32 scale and four uint16 corners a vector."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a call of `index` would cost.

    Attributes:
        sampled: pages that were rendered, read and embedded to find out.
        disk_bytes: originals, page pictures, words and vectors.
        vector_bytes: the part of it that searches read, mapped into memory.
        seconds: on this machine, as busy as it is now.
    """

    documents: int
    pages: int
    sampled: int
    disk_bytes: int
    vector_bytes: int
    seconds: float
    failed: tuple[FailedInput, ...]


def estimated(renderer: Renderer, models: Models, settings: Settings, paths: Sequence[Path]) -> Estimate:
    """Probe every file, take a few pages through all that indexing does, and multiply out.

    Raises:
        ModelError: a model cannot be loaded.
    """
    failed: list[FailedInput] = []
    readable: list[tuple[Path, int]] = []
    for source in sources(paths):
        try:
            if source.problem:
                raise source.problem
            readable.append((source.path, renderer.probe(source.path).pages))
        except DocumentError as error:
            failed.append(FailedInput(str(source.path), Failure(error.code, str(error))))
    pages = sum(count for _, count in readable)
    _warm_up(models, settings)
    started = time.perf_counter()
    sample = list(_sampled(renderer, readable))
    vectors = _embedded(models, settings, [(title, page) for title, page in sample if not page.blank])
    seconds = time.perf_counter() - started
    each = max(len(sample), 1)
    stored_bytes = sum(len(page.image) + len(page.layer) for _, page in sample)
    vector_bytes = sum(_bytes(own, BYTES_PER_NUMBER[settings.stored]) for own in vectors) * pages // each
    return Estimate(
        documents=len(readable),
        pages=pages,
        sampled=len(sample),
        disk_bytes=sum(path.stat().st_size for path, _ in readable)
        + stored_bytes * pages // each
        + vector_bytes,
        vector_bytes=vector_bytes,
        seconds=seconds * pages / each,
        failed=tuple(failed),
    )


def _warm_up(models: Models, settings: Settings) -> None:
    """Load the models before their work is timed."""
    if "visual" in settings.arms:
        models.encoder.queries(["warm up"])
    if "text" in settings.arms:
        models.tower.queries(["warm up"])


def _sampled(renderer: Renderer, readable: Sequence[tuple[Path, int]]) -> Iterator[tuple[str, Rendered]]:
    """Pages from all over the files, each with its document's title."""
    step = max(1, len(readable) // SAMPLE_PAGES)
    chosen = readable[::step][:SAMPLE_PAGES]
    for path, count in chosen:
        numbers = sorted({1 + count * at // 3 for at in range(1, 3)}) if len(chosen) < 3 else [1 + count // 2]
        for page in renderer.pages(path, [min(number, count) for number in numbers]):
            if isinstance(page, Rendered):
                yield stem(path.name), page


def _embedded(models: Models, settings: Settings, sample: Sequence[tuple[str, Rendered]]) -> list[Vectors]:
    """What the arms would keep of these pages, those read by OCR that indexing would have read."""
    vectors: list[Vectors] = []
    if "visual" in settings.arms:
        vectors += models.encoder.pages([picture(page.image) for _, page in sample])
    with ThreadPoolExecutor(settings.readers) as readers:
        texts = list(readers.map(lambda one: _text(settings, one[1]), sample))
    if "text" in settings.arms:
        titles = [title for title, _ in sample]
        named = zip(titles, texts, strict=True)
        vectors += models.tower.passages([PageText(title=title, text=text) for title, text in named])
    return vectors


def _text(settings: Settings, page: Rendered) -> str:
    if not lacks_words(len(page.text), page.wordless) or not reads_pictures(settings) or missing():
        return page.text
    try:
        return completed(unpack(page.layer), picture(page.image), dpi=settings.dpi).text
    except DocumentError:
        return page.text  # indexing will say so of this page, and keep what it has


def _bytes(vectors: Vectors, of_a_number: int) -> int:
    rows, dim = vectors.rows.shape
    return int(rows * (dim * of_a_number + BYTES_PER_VECTOR))
