"""Real PDF pages: their pixels, and the words and letters that their text layer places."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pymupdf
from numpy.typing import NDArray

from domain.errors import UsageError
from training.sample import Notes, Sample


@dataclass(slots=True)
class RealPages:
    """Pages of PDF files; a text layer is read once and kept."""

    paths: Sequence[Path]
    opened: dict[Path, pymupdf.Document] = field(default_factory=dict)
    notes: dict[tuple[Path, int], Notes] = field(default_factory=dict)
    places: list[tuple[Path, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Count the pages.

        Raises:
            UsageError: a path does not exist.
        """
        for path in self.paths:
            if not path.exists():
                raise UsageError(f"no such PDF: {path}")
            self.opened[path] = pymupdf.open(path)
            self.places.extend((path, number) for number in range(len(self.opened[path])))

    def crop(
        self, rng: random.Random, *, size: tuple[int, int], print_px: tuple[float, float], sharpness: float
    ) -> Sample:
        """A random part of a random page, its print of a usual size between two; `sharpness` as in `typeset`."""
        for _ in range(20):
            place = rng.choice(self.places)
            notes = self.noted(place)
            if len(notes.words) >= 30:
                break
        print_pt = float(np.median(notes.sizes)) if notes.sizes else 10.0
        scale = float(np.exp(rng.uniform(*np.log(print_px)))) / max(print_pt, 2.0)
        page = self.opened[place[0]][place[1]]
        wide, high = size[0] / scale, size[1] / scale
        x = page.rect.x0 + rng.uniform(-0.02, 1) * max(0.0, page.rect.width - wide)
        y = page.rect.y0 + rng.uniform(-0.02, 1) * max(0.0, page.rect.height - high)
        image = _rendered(page, pymupdf.Rect(x, y, x + wide, y + high), scale * sharpness)
        return _inside(notes.sample(image, scale, (x, y)), size)

    def noted(self, place: tuple[Path, int]) -> Notes:
        """What stands on a page, in points."""
        if place not in self.notes:
            self.notes[place] = _noted(self.opened[place[0]][place[1]])
        return self.notes[place]

    def texts(self) -> Iterator[str]:
        """The words of every page, one string a page."""
        for place in self.places:
            yield " ".join(self.noted(place).words)


def _rendered(page: pymupdf.Page, area: pymupdf.Rect, scale: float) -> NDArray[np.uint8]:
    canvas = np.full((round(area.height * scale), round(area.width * scale)), 255, np.uint8)
    matrix = pymupdf.Matrix(scale, scale)
    clip = area & page.rect
    if clip.is_empty:
        return canvas
    pixels = page.get_pixmap(matrix=matrix, clip=clip, colorspace=pymupdf.csGRAY)
    part = np.frombuffer(pixels.samples, np.uint8).reshape(pixels.height, pixels.stride)[:, : pixels.width]
    x, y = max(0, round((clip.x0 - area.x0) * scale)), max(0, round((clip.y0 - area.y0) * scale))
    part = part[: canvas.shape[0] - y, : canvas.shape[1] - x]
    canvas[y : y + part.shape[0], x : x + part.shape[1]] = part
    return canvas


def _inside(sample: Sample, size: tuple[int, int]) -> Sample:
    boxes, letters = sample.boxes, sample.letters
    keep = (boxes[:, 0] < size[0]) & (boxes[:, 2] > 0) & (boxes[:, 1] < size[1]) & (boxes[:, 3] > 0)
    near = (letters[:, 0] >= 0) & (letters[:, 0] < size[0]) & (letters[:, 1] >= 0) & (letters[:, 1] < size[1])
    kept = [word for word, stays in zip(sample.words, keep, strict=True) if stays]
    return Sample(sample.image, kept, boxes[keep], sample.sizes[keep], letters[near])


def _noted(page: pymupdf.Page) -> Notes:
    notes = Notes()
    raw = page.get_text("rawdict", flags=pymupdf.TEXT_PRESERVE_WHITESPACE | pymupdf.TEXT_MEDIABOX_CLIP)
    for block in raw["blocks"]:
        for line in block.get("lines", ()):
            if line["dir"][0] < 0.99:
                continue
            for span in line["spans"]:
                _note_span(notes, span)
    return notes


def _note_span(notes: Notes, span: dict[str, Any]) -> None:
    text, edges, base = "", [0.0], 0.0
    size = float(span["size"])
    for letter in (*span["chars"], {"c": " ", "bbox": (0, 0, 0, 0), "origin": (0, 0)}):
        if str(letter["c"]).isspace():
            if text:
                notes.add(text, edges, (base - 0.78 * size, base + 0.22 * size), size)
            text = ""
            continue
        if not text:
            edges = [letter["bbox"][0]]
            base = letter["origin"][1]
        text += letter["c"]
        edges.append(letter["bbox"][2])
