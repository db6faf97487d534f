"""What indexing would cost, before it is spent: measured on a few pages, multiplied out."""

import io
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from domain.errors import DocumentError, Failure
from ingest.render import Rendered, Renderer
from library.models import Models
from library.results import FailedInput
from library.sources import sources

SAMPLE_PAGES = 6
BYTES_PER_NUMBER = {"int8": 1, "float16": 2}
BYTES_PER_VECTOR = 12
"""Token vectors are stored with a float32 scale and four uint16 corners a vector."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a call of `index` would cost.

    Attributes:
        sampled: pages that were rendered and embedded to find out.
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


@dataclass(slots=True)
class _Sample:
    number_bytes: int
    pages: int = 0
    stored_bytes: int = 0
    vector_bytes: int = 0
    seconds: float = 0.0


def estimated(renderer: Renderer, models: Models, paths: Sequence[Path], *, stored: str) -> Estimate:
    """Probe every file, render and embed a few pages, and multiply out; `stored` as in the settings.

    Raises:
        ModelError: the encoder cannot be loaded.
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
    sample = _sampled(renderer, models, readable, _Sample(BYTES_PER_NUMBER[stored]))
    each = max(sample.pages, 1)
    originals = sum(path.stat().st_size for path, _ in readable)
    vector_bytes = sample.vector_bytes * pages // each
    return Estimate(
        documents=len(readable),
        pages=pages,
        sampled=sample.pages,
        disk_bytes=originals + sample.stored_bytes * pages // each + vector_bytes,
        vector_bytes=vector_bytes,
        seconds=sample.seconds * pages / each,
        failed=tuple(failed),
    )


def _sampled(
    renderer: Renderer, models: Models, readable: Sequence[tuple[Path, int]], found: _Sample
) -> _Sample:
    step = max(1, len(readable) // SAMPLE_PAGES)
    chosen = readable[::step][:SAMPLE_PAGES]
    models.encoder.queries(["warm up"])
    for path, count in chosen:
        numbers = sorted({1 + count * at // 3 for at in range(1, 3)}) if len(chosen) < 3 else [1 + count // 2]
        started = time.perf_counter()
        for page in renderer.pages(path, [min(number, count) for number in numbers]):
            if isinstance(page, Rendered):
                _add(found, models, page)
        found.seconds += time.perf_counter() - started
    return found


def _add(found: _Sample, models: Models, page: Rendered) -> None:
    found.pages += 1
    found.stored_bytes += len(page.image) + len(page.layer)
    if page.blank:
        return
    with Image.open(io.BytesIO(page.image)) as image:
        rows = models.encoder.pages([image.convert("RGB")])[0].rows
    found.vector_bytes += rows.shape[0] * (rows.shape[1] * found.number_bytes + BYTES_PER_VECTOR)
