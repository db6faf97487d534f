"""Does the map of a query over a page point at the evidence? Scored where a benchmark gives boxes."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, Protocol

import numpy as np

from domain.page import Box, PageId
from evaluation.corpus import Corpus
from evaluation.measures import area, equal_area, overlap, points_at
from evaluation.questions import GoldBox, Qrels, Question
from evaluation.report import Grounding
from evaluation.statistics import figure
from library.results import Evidence

_EVERYWHERE: Final = Box(0.0, 0.0, 1.0, 1.0)


class Maps(Protocol):
    """What of a library is scored."""

    def evidence(self, page_id: PageId, query: str, *, limit: int | None = ...) -> Evidence:
        """Where on a page a query was answered, hottest first; None is the whole map."""
        ...


@dataclass(frozen=True, slots=True)
class Aim:
    """A question's text, a page that answers it, and where on the page: boxes as fractions of it."""

    text: str
    page: PageId
    gold: tuple[Box, ...]


@dataclass(frozen=True, slots=True)
class Pointed:
    """What was measured on each page with a map, and on how many there was none.

    Attributes:
        hit: 1 where the hottest cell has its centre in a gold box, else 0.
        overlap: intersection over union of the hottest cells with the gold boxes.
        chance: the share of the page that the gold boxes cover.
        left_out: pages without a map.
    """

    hit: tuple[float, ...] = ()
    overlap: tuple[float, ...] = ()
    chance: tuple[float, ...] = ()
    left_out: int = 0

    @classmethod
    def joined(cls, parts: Iterable["Pointed"]) -> "Pointed":
        """Several measurements as one."""
        found = list(parts)
        return cls(
            tuple(chain.from_iterable(part.hit for part in found)),
            tuple(chain.from_iterable(part.overlap for part in found)),
            tuple(chain.from_iterable(part.chance for part in found)),
            sum(part.left_out for part in found),
        )


def ground(
    library: Maps,
    aims: Iterable[Aim],
    *,
    ready: Callable[[PageId], bool] = lambda _: True,
    tick: Callable[[str], None] = lambda _: None,
) -> Pointed:
    """Score the map of a question over each page that answers it.

    Args:
        library: gives the maps.
        aims: what to score.
        ready: whether a page has vectors; one that failed to index counts as one without a map.
        tick: called with `grounding` after each page.
    """
    hits: list[float] = []
    overlaps: list[float] = []
    chances: list[float] = []
    left_out = 0
    for aim in aims:
        cells = _cells(library, aim) if ready(aim.page) else []
        tick("grounding")
        if not cells:
            left_out += 1
            continue
        hits.append(float(points_at(cells[0], aim.gold)))
        overlaps.append(overlap(equal_area(cells, aim.gold), aim.gold))
        chances.append(area(aim.gold))
    return Pointed(tuple(hits), tuple(overlaps), tuple(chances), left_out)


def _cells(library: Maps, aim: Aim) -> list[Box]:
    """The whole map, hottest first, without the words of a prompt, which look at no place."""
    found = library.evidence(aim.page, aim.text, limit=None).cells
    return [cell.box for cell in found if cell.box != _EVERYWHERE]


def figures(pointed: Pointed) -> Grounding | None:
    """The figures of a report; None where there was nothing to score."""
    if not pointed.hit and not pointed.left_out:
        return None
    return Grounding(
        pages=len(pointed.hit),
        left_out=pointed.left_out,
        pointing=figure(np.array(pointed.hit)),
        overlap=figure(np.array(pointed.overlap)),
        chance=float(np.mean(pointed.chance)) if pointed.chance else 0.0,
    )


def aims(questions: Sequence[Question], qrels: Qrels, corpus: Corpus) -> list[Aim]:
    """The relevant pages for which questions carry boxes; boxes on other pages are left aside."""
    return [
        Aim(question.text, corpus.page(name), tuple(boxes))
        for question in questions
        for name, boxes in _by_page(question, corpus).items()
        if qrels[question.id].get(name, 0) > 0
    ]


def _by_page(question: Question, corpus: Corpus) -> Mapping[str, list[Box]]:
    pages: dict[str, list[Box]] = defaultdict(list)
    if question.doc in corpus.documents:
        for box in question.boxes:
            name = corpus.corpus_id(corpus.page(f"{question.doc}#{box.page}"))
            pages[name].append(fraction(box))
    return pages


def fraction(box: GoldBox) -> Box:
    """A box in points as fractions of its page, whichever corner came first, cut at the page's edge."""
    xs = sorted(min(max(x / box.width_pt, 0.0), 1.0) for x in (box.x0, box.x1))
    ys = sorted(min(max(y / box.height_pt, 0.0), 1.0) for y in (box.y0, box.y1))
    return Box(xs[0], ys[0], xs[1], ys[1])
