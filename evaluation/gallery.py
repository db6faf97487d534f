"""The worst questions of a run with pictures: the expected page beside what was returned."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from domain.errors import RectoError
from domain.page import PageId
from evaluation.corpus import Names, pages_of
from evaluation.questions import Qrels, Question
from evaluation.trec import Scores, trec_order

WORST = 20
_WIDTH_PX = 220
_SHOWN = 3


class Picture(Protocol):
    """An encoded image and its media type."""

    @property
    def data(self) -> bytes:
        """The file."""
        ...

    @property
    def media_type(self) -> str:
        """Such as `image/jpeg`."""
        ...


class Pictures(Protocol):
    """What of a library is shown."""

    def image(self, page_id: PageId, *, width: int | None = None) -> Picture:
        """A page picture, reduced to a width in pixels."""
        ...


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A page in the list: its corpus id, its rank (None where it was not found), and the picture.

    `uri` is a data URI, empty where the page has no picture; then `problem` says why.
    """

    page: str
    rank: int | None
    relevant: bool
    uri: str
    problem: str


@dataclass(frozen=True, slots=True)
class Case:
    """A question, its figure, the pages that were expected and those that were returned."""

    question: Question
    value: float
    expected: tuple[Thumbnail, ...]
    returned: tuple[Thumbnail, ...]


def worst(
    library: Pictures,
    corpus: Names,
    *,
    questions: Sequence[Question],
    qrels: Qrels,
    run: Scores,
    values: Sequence[float],
) -> tuple[Case, ...]:
    """The questions with the lowest values, worst first, at most `WORST`; perfect ones are left out.

    Args:
        library: gives the pictures.
        corpus: names the pages.
        questions: in the order of `values`.
        qrels: what was expected.
        run: what the whole pipeline returned.
        values: nDCG@10, one a question.
    """
    order = sorted(range(len(questions)), key=lambda i: (values[i], questions[i].id))
    chosen = [i for i in order if values[i] < 1][:WORST]
    gold = pages_of(qrels, [questions[i].id for i in chosen])
    frame = _Frame(library, corpus, {})
    return tuple(
        _case(questions[i], values[i], gold[questions[i].id], _order(run, questions[i]), frame)
        for i in chosen
    )


def _order(run: Scores, question: Question) -> list[str]:
    return [page for page, _ in trec_order(run.get(question.id, {}))]


def _case(
    question: Question, value: float, gold: Sequence[str], found: Sequence[str], frame: "_Frame"
) -> Case:
    ranks = {page: rank for rank, page in enumerate(found, start=1)}

    def shown(pages: Sequence[str]) -> tuple[Thumbnail, ...]:
        return tuple(Thumbnail(p, ranks.get(p), p in gold, *frame.picture(p)) for p in pages[:_SHOWN])

    return Case(question, value, shown(gold), shown(found))


@dataclass(frozen=True, slots=True)
class _Frame:
    """Fetches each picture once."""

    library: Pictures
    corpus: Names
    kept: dict[str, tuple[str, str]]

    def picture(self, page: str) -> tuple[str, str]:
        """A data URI, or none and why."""
        if page not in self.kept:
            self.kept[page] = self._fetched(page)
        return self.kept[page]

    def _fetched(self, page: str) -> tuple[str, str]:
        try:
            name = self.corpus.page(page)
        except KeyError:
            return "", "this page is not indexed"
        try:
            found = self.library.image(name, width=_WIDTH_PX)
        except RectoError as error:
            return "", str(error)  # the list shows the reason in the picture's place
        return f"data:{found.media_type};base64,{base64.b64encode(found.data).decode()}", ""
