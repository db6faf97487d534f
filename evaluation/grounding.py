"""Does the map of a query over a page point at the evidence? Scored where a benchmark gives boxes."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np

from domain.page import Box, PageId
from evaluation.corpus import Corpus
from evaluation.measures import area, equal_area, overlap, points_at
from evaluation.questions import GoldBox, Qrels, Question
from evaluation.report import Grounding
from evaluation.statistics import figure
from library.results import Evidence


class Maps(Protocol):
    """What of a library is scored."""

    def evidence(self, page_id: PageId, query: str) -> Evidence:
        """Where on a page a query was answered, hottest first."""
        ...


def ground(
    library: Maps,
    questions: Sequence[Question],
    qrels: Qrels,
    *,
    corpus: Corpus,
    ready: frozenset[PageId],
    tick: Callable[[str], None] = lambda _: None,
) -> Grounding | None:
    """Score the map of every question over each of its relevant pages that has gold boxes.

    Args:
        library: gives the maps.
        questions: with their boxes.
        qrels: which pages are relevant; boxes on other pages are left aside.
        corpus: names the pages.
        ready: pages that have vectors; a page that failed to index counts as one without a map.
        tick: called with `grounding` after each page.

    Returns:
        The figures, or None where no question has boxes.
    """
    pointing: list[float] = []
    overlaps: list[float] = []
    chances: list[float] = []
    left_out = 0
    for question, page, gold in _tasks(questions, qrels, corpus):
        name = corpus.page(page)
        cells = [c.box for c in library.evidence(name, question.text).cells] if name in ready else []
        tick("grounding")
        if not cells:
            left_out += 1
            continue
        pointing.append(float(points_at(cells[0], gold)))
        overlaps.append(overlap(equal_area(cells, gold), gold))
        chances.append(area(gold))
    if not pointing and not left_out:
        return None
    return Grounding(
        pages=len(pointing),
        left_out=left_out,
        pointing=figure(np.array(pointing)),
        overlap=figure(np.array(overlaps)),
        chance=float(np.mean(chances)) if chances else 0.0,
    )


def _tasks(
    questions: Sequence[Question], qrels: Qrels, corpus: Corpus
) -> list[tuple[Question, str, list[Box]]]:
    tasks = []
    for question in questions:
        for page, boxes in _by_page(question, corpus).items():
            if qrels[question.id].get(page, 0) > 0:
                tasks.append((question, page, boxes))
    return tasks


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
