"""Pages for the reranker: contexts set beside their neighbours in PDFs, and real PDFs, read word by word."""

import html
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np
import pymupdf
from numpy.typing import NDArray

from domain import words
from domain.page import Query
from domain.wording import Wording, widened, without_form
from library.settings import Settings
from training.text_tower_data import row_labels
from training.texts import Context, Pair, Written


@dataclass(frozen=True, slots=True, eq=False)
class WordPage:
    """A page's words in the order of its text layer, where each stands in fractions of the page, and its text.

    Attributes:
        title: its document's; empty where it has none.
        opening: the first words of its document's first page.
    """

    path: Path
    number: int
    words: tuple[str, ...]
    boxes: NDArray[np.float32]
    title: str = ""
    text: str = ""
    opening: tuple[str, ...] = ()

    @property
    def document(self) -> str:
        """The name of the file."""
        return self.path.stem


@dataclass(frozen=True, slots=True)
class Asked:
    """A question and the pages that answer it.

    Attributes:
        text: the question.
        pages: the places, in a list of pages, of those that answer it.
        written: whether somebody wrote it for them.
        also: what pages may say in place of its words.
    """

    text: str
    pages: tuple[int, ...]
    written: bool = False
    also: tuple[str, ...] = ()

    @property
    def query(self) -> Query:
        """What searches hand to arms and rerankers."""
        return Query("q", self.text, also=self.also)


ENOUGH = 5
"""Contexts of one title that make a document."""

WIDTH, HEIGHT, MARGIN = 595.0, 842.0, 40.0


def compose(
    contexts: Sequence[Context], directory: Path, *, seed: int, pages_a_document: int
) -> dict[str, tuple[Path, int]]:
    """Set contexts on pages, neighbours by title together, and say on which page each stands.

    Contexts that share a title with some others are a document of their own, which names it only where it begins.

    Args:
        contexts: what is set; one that does not fit on a page is left out.
        directory: where the PDFs go; files of an earlier call are replaced.
        seed: decides fonts, sizes and columns.
        pages_a_document: pages of each PDF.

    Returns:
        For each context's id, its file and page number from 0.
    """
    directory.mkdir(parents=True, exist_ok=True)
    chance = random.Random(seed)
    where: dict[str, tuple[Path, int]] = {}
    number = 0
    for own, waiting in _shelves(contexts):
        while waiting:
            path = directory / f"composed_{number:04d}.pdf"
            style = _style(chance)
            with pymupdf.open() as document:
                for place in range(pages_a_document):
                    if own:
                        style = replace(style, heading=float(place == 0), most=1 if place == 0 else 3)
                    if waiting:
                        for done in _fill(document, waiting, style, chance):
                            where[done] = (path, place)
                document.save(path, garbage=3, deflate=True)
            number += 1
    return where


def _shelves(contexts: Sequence[Context]) -> list[tuple[bool, list[Context]]]:
    """What becomes documents, last first: contexts of one title, of which there are enough, then all others."""

    def shelf(context: Context) -> tuple[str, str]:
        return context.id.split("-")[0], context.title

    ordered = sorted(contexts, key=lambda context: (*shelf(context), context.id))
    often = Counter(map(shelf, ordered))
    alone = {name for name, times in often.items() if times >= ENOUGH and name[1]}
    own = [list(group) for name, group in groupby(ordered, key=shelf) if name in alone]
    mixed = [context for context in ordered if shelf(context) not in alone]
    return [(one, group[::-1]) for one, group in [*((True, group) for group in own), (False, mixed)]]


def read_pages(paths: Sequence[Path]) -> list[WordPage]:
    """Every page of these PDFs that has at least 20 words."""
    found: list[WordPage] = []
    for path in paths:
        with pymupdf.open(path) as document:
            found += [_read(path, number, page) for number, page in enumerate(document)]
    return [page for page in found if len(page.words) >= 20]


def picture(page: WordPage, *, dpi: int = 150) -> NDArray[np.uint8]:
    """The page's pixels: (h, w, 3) uint8."""
    with pymupdf.open(page.path) as document:
        pixels = document[page.number].get_pixmap(dpi=dpi, colorspace=pymupdf.csRGB, alpha=False)
        return np.frombuffer(pixels.samples, np.uint8).reshape(pixels.height, pixels.width, 3).copy()


def asked_of(
    pairs: Sequence[Pair], where: dict[str, tuple[Path, int]], pages: Sequence[WordPage]
) -> list[Asked]:
    """The questions whose context was set on one of these pages; bare titles are no questions."""
    places = {(page.path, page.number): place for place, page in enumerate(pages)}
    found = []
    for pair in pairs:
        place = places.get(where.get(pair.context, (Path(), -1)))
        if place is not None and pair.split != "weak" and len(words.split(pair.question)) >= 3:
            found.append(Asked(pair.question, (place,)))
    return found


def asked_by(found: Sequence[Written], pages: Sequence[WordPage]) -> list[Asked]:
    """Those questions that somebody wrote about these pages."""
    places = {(page.document, page.number): place for place, page in enumerate(pages)}
    right = [
        tuple(sorted(places[key] for page in one.pages if (key := (one.document, page)) in places))
        for one in found
    ]
    return [Asked(one.text, own, written=True) for one, own in zip(found, right, strict=True) if own]


def as_served(asked: Asked) -> Asked:
    """A question without what it says of the answer's form, and with what pages say instead, as searches put it."""
    query = widened(Wording(Query("q", without_form(asked.text))), Settings().vocabulary).query
    return replace(asked, text=query.text, also=query.also)


def asked_of_rows(pages: Sequence[WordPage], *, a_page: int, seed: int) -> list[Asked]:
    """Questions for rows of tables and for sentences of real pages; every page that has the row answers."""
    chance = random.Random(seed)
    labels: dict[tuple[str, str], set[int]] = {}
    for _, group in groupby(enumerate(pages), key=lambda each: each[1].path):
        members = list(group)
        with pymupdf.open(members[0][1].path) as document:
            for place, page in members:
                for label in row_labels(document[page.number].get_text("text")):
                    labels.setdefault((page.document, label.lower()), set()).add(place)
    by_page: dict[int, list[str]] = {}
    for (_, label), places in labels.items():
        if len(places) <= 3:
            for place in places:
                by_page.setdefault(place, []).append(label)
    return [
        Asked(
            _phrased(label, pages[place].document, chance),
            tuple(sorted(labels[pages[place].document, label])),
        )
        for place, own in sorted(by_page.items())
        for label in chance.sample(own, min(a_page, len(own)))
    ]


def asked_of_lines(pages: Sequence[WordPage], *, seed: int) -> list[Asked]:
    """A handful of neighbouring words of each page in loose order: found again only by reading it all."""
    chance = random.Random(seed)
    found = []
    for place, page in enumerate(pages):
        if len(page.words) < 60:
            continue
        start = chance.randrange(len(page.words) - 30)
        window = [word for word in page.words[start : start + 30] if len(word) > 3 and not word.isdigit()]
        if len(window) >= 8:
            kept = sorted(chance.sample(range(len(window)), chance.randint(4, 7)))
            found.append(
                Asked(chance.choice(_OPENINGS) + " ".join(window[at] for at in kept) + "?", (place,))
            )
    return found


_OPENINGS = ("what about ", "where is said that ", "how many ", "which ", "what is the ", "who ", "")
_FORMS: tuple[Callable[[str, str], str], ...] = (
    lambda row, title: f"How much was {row} according to {title}?",
    lambda row, title: f"What is the figure for {row} in {title}?",
    lambda row, _: f"What was the amount of {row}?",
    lambda row, _: f"By how much did {row} change from the year before?",
    lambda row, _: f"What percentage of the total is {row}?",
)


def _phrased(label: str, document: str, chance: random.Random) -> str:
    return chance.choice(_FORMS)(label, document.replace("_", " "))


@dataclass(frozen=True, slots=True)
class _Style:
    family: str
    size_pt: float
    columns: int
    heading: float
    most: int = 6


def _style(chance: random.Random) -> _Style:
    return _Style(
        chance.choice(["serif", "sans-serif", "sans-serif", "serif", "monospace"]),
        chance.uniform(7.5, 12.5),
        chance.choice([1, 1, 2]),
        chance.uniform(0.3, 1.0),
    )


def _fill(
    document: pymupdf.Document, waiting: list[Context], style: _Style, chance: random.Random
) -> list[str]:
    """Set as many contexts as fit on a new page and as the style allows; gives their ids."""
    page = document.new_page(width=WIDTH, height=HEIGHT)
    done: list[str] = []
    wide = (WIDTH - MARGIN * (1 + style.columns)) / style.columns
    for column in range(style.columns):
        x, y = MARGIN + column * (wide + MARGIN), MARGIN
        while waiting and len(done) < style.most and y < HEIGHT - 2 * MARGIN:
            spare, _ = page.insert_htmlbox(
                pymupdf.Rect(x, y, x + wide, HEIGHT - MARGIN),
                _markup(waiting[-1], style, chance),
                scale_low=1,
            )
            if spare < 0:
                if done:
                    break
                waiting.pop()
                continue
            done.append(waiting.pop().id)
            y = HEIGHT - MARGIN - spare + 8
    return done


def _markup(context: Context, style: _Style, chance: random.Random) -> str:
    parts = []
    if context.title and chance.random() < style.heading:
        parts.append(
            f'<p style="font-size:{style.size_pt * 1.5:.1f}px"><b>{html.escape(context.title)}</b></p>'
        )
    if context.text:
        parts.append(f"<p>{html.escape(context.text[:2500].replace('@@TABLE@@', ''))}</p>")
    if context.table:
        rows = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
            for row in context.table[:24]
        )
        parts.append(f"<table>{rows}</table>")
    return f'<div style="font-family:{style.family};font-size:{style.size_pt:.1f}px">{"".join(parts)}</div>'


def _read(path: Path, number: int, page: pymupdf.Page) -> WordPage:
    found: list[str] = []
    boxes: list[tuple[float, float, float, float]] = []
    wide, high = max(page.rect.width, 1.0), max(page.rect.height, 1.0)
    for x0, y0, x1, y1, text, *_ in page.get_text("words"):
        for word in words.split(text):
            found.append(word)
            boxes.append((x0 / wide, y0 / high, x1 / wide, y1 / high))
    return WordPage(
        path, number, tuple(found), np.array(boxes, np.float32).reshape(-1, 4), text=page.get_text("text")
    )
