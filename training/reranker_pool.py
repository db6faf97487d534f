"""Questions, pages and negatives for the reranker, and pages as a visual encoder would have read them."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from domain import words
from rerank.builtin.pairs import Reader, Reading, Wording, joined, line_order, told
from rerank.builtin.pieces import Ids, Pieces
from rerank.builtin.spelling import Speller
from training.reranker_mining import Mined
from training.reranker_naming import first_pages
from training.reranker_pages import Asked, WordPage
from training.texts import mutated

ILLEGIBLE = 1.3
"""Noise of this length beside a word's unit vector leaves it less like itself than `rerank.builtin.pairs.SURE`."""


OPENED = 0.5
"""How often a document's first page is among the wrong ones."""


@dataclass(frozen=True, slots=True, eq=False)
class Lexicon:
    """Every word of the pages and questions: its number, its vector, and how rare it is.

    Attributes:
        numbers: place of each word in the other two.
        vectors: (n, dim) float32 unit rows.
        rarity: (n,) float32, inverse document frequency over its largest value.
        worth: (n,) float32, how much each tells in a question.
        pieces: (n, MOST) int64 word pieces of each.
        whole: (n,) bool, whether a reader of pixels can name it.
        cutter: what cut the pieces.
    """

    numbers: dict[str, int]
    vectors: NDArray[np.float32]
    rarity: NDArray[np.float32]
    worth: NDArray[np.float32]
    pieces: Ids
    whole: NDArray[np.bool_]
    cutter: Pieces

    def wording(self, numbers: NDArray[np.int64]) -> Wording:
        """A question of these words."""
        return Wording(self.vectors[numbers], self.worth[numbers], self.cutter.framed(self.pieces[numbers]))

    def numbered(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """The numbers of words."""
        return np.array([self.numbers[text] for text in texts], np.int64)

    def placed(self, numbers: NDArray[np.int64]) -> Reading:
        """These words, at no place on the page."""
        boxes = np.zeros((len(numbers), 4), np.float32)
        return Reading(self.vectors[numbers], boxes, self.pieces[numbers])


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """Questions over pages, with what the first stage says of each.

    Attributes:
        pages: word numbers of each page.
        boxes: (n, 4) boxes of each page's words.
        titles: word numbers of each page's document's title.
        openings: word numbers of each page's document's opening.
        first: (pages,) the first page of each page's document.
        documents: (pages,) which document each page belongs to.
        questions: word numbers of each question.
        right: the pages that answer each question.
        mined: the pages that rank high for each question.
    """

    pages: list[NDArray[np.int64]]
    boxes: list[NDArray[np.float32]]
    titles: list[NDArray[np.int64]]
    openings: list[NDArray[np.int64]]
    first: list[int]
    documents: NDArray[np.int64]
    questions: list[NDArray[np.int64]]
    right: list[tuple[int, ...]]
    mined: Mined

    def framed(self, question: int, page: int, reading: Reading, lexicon: Lexicon) -> Reading:
        """A page behind what the question is told of its document, as it is served."""
        asked, title = self.questions[question].tolist(), self.titles[page].tolist()
        opening = self.openings[page].tolist()
        places = told(asked, lexicon.worth[asked], opening=opening, title=title)
        about = np.array([*title, *(asked[at] for at in places)], np.int64)
        return joined(lexicon.placed(about), reading)


def count_words(pages: Sequence[WordPage], asked: Sequence[Asked]) -> dict[str, int]:
    """On how many pages each word of pages and questions stands."""
    counts: dict[str, int] = {}
    for page in pages:
        for word in set(page.words):
            counts[word] = counts.get(word, 0) + 1
        for word in words.split(page.title):
            counts.setdefault(word, 0)
    for question in asked:
        for word in words.split(question.query.whole):
            counts.setdefault(word, 0)
    return counts


def rarities(counts: Mapping[str, int], total: int) -> NDArray[np.float32]:
    """Inverse document frequency of each word over its largest value: (n,), 1 for a word on no page."""
    return np.array(
        [np.log((total + 1) / (1 + count)) / np.log(total + 1) for count in counts.values()], np.float32
    )


def make_lexicon(counts: Mapping[str, int], total: int, reader: Reader) -> Lexicon:
    """Number, spell and weigh these words, which stand on so many of `total` pages."""
    names = sorted(counts)
    numbers = {word: place for place, word in enumerate(names)}
    rarity = rarities({word: counts[word] for word in names}, total)
    speller, pieces = reader.speller, reader.pieces
    known = set(pieces.whole_words)
    return Lexicon(
        numbers, speller.rows(names), rarity, speller.worths(names), pieces.words(names),
        np.array([name in known for name in names]), pieces,
    )  # fmt: skip


def make_task(
    pages: Sequence[WordPage], asked: Sequence[Asked], lexicon: Lexicon, mined: Mined, *, most_words: int
) -> Task:
    """Number the words of pages and questions."""
    names = sorted({page.document for page in pages})
    place = {name: number for number, name in enumerate(names)}
    return Task(
        pages=[lexicon.numbered(page.words) for page in pages],
        boxes=[page.boxes for page in pages],
        titles=[lexicon.numbered(words.split(page.title)) for page in pages],
        openings=[lexicon.numbered(page.opening) for page in pages],
        first=first_pages(pages),
        documents=np.array([place[page.document] for page in pages]),
        questions=[lexicon.numbered(words.split(one.query.whole)[:most_words]) for one in asked],
        right=[one.pages for one in asked],
        mined=mined,
    )


def draw_candidates(
    task: Task, question: int, *, most: int, hard: float, chance: random.Random
) -> tuple[list[int], list[float]]:
    """The right page, then wrong ones that rank high (the higher the harder), then any; and the first stage's scores.

    Every other time its document's first page, which names what the others do not, is among the wrong ones.

    Args:
        task: where to draw from.
        question: which question.
        most: how many pages.
        hard: from 0, any of the NEAR, to 1, the highest third.
        chance: decides.
    """
    mined = task.mined
    scores = mined.scores[question].tolist()
    near = [
        (int(page), score) for page, score in zip(mined.near[question], scores[1:], strict=True) if page >= 0
    ]
    near = near[: max(most, round(len(near) * (1 - 0.67 * hard)))]
    drawn = chance.sample(near, min(most - 1, len(near)))
    opening = task.first[int(mined.best[question])]
    if chance.random() < OPENED and opening not in {*task.right[question], *(page for page, _ in drawn)}:
        known = dict(zip(mined.near[question].tolist(), scores[1:], strict=True))
        drawn = [(opening, known.get(opening, min(scores))), *drawn][: most - 1]
    chosen = [(int(mined.best[question]), scores[0]), *drawn]
    taken = {*task.right[question], *(page for page, _ in chosen)}
    others = [page for page in range(len(task.pages)) if page not in taken] if len(chosen) < most else []
    chosen += [(page, min(scores)) for page in chance.sample(others, min(len(others), most - len(chosen)))]
    return [page for page, _ in chosen], [score for _, score in chosen]


def as_written(task: Task, question: int, page: int, lexicon: Lexicon) -> Reading:
    """A page as its text layer gives it: every word, no places."""
    return task.framed(question, page, lexicon.placed(task.pages[page]), lexicon)


@dataclass(frozen=True, slots=True, eq=False)
class Misreader:
    """Reads a page as a visual encoder might: words missed, blurred or mistaken, frequent ones left out."""

    lexicon: Lexicon
    names: tuple[str, ...]
    speller: Speller

    def read(
        self, task: Task, question: int, page: int, *, blur: float, chance: np.random.Generator
    ) -> Reading:
        """Simulate; `blur` from 0, everything read exactly, to 1, hardly legible."""
        numbers, boxes = task.pages[page], task.boxes[page]
        rare = self.lexicon.rarity[numbers]
        seen = chance.random(len(numbers)) > 0.15 * blur + (rare < 0.15) * 0.6
        if seen.sum() > 500:
            limit = np.sort(rare[seen])[-500]
            seen &= rare >= limit
        numbers, boxes = numbers[seen], boxes[seen]
        rows = self.lexicon.vectors[numbers].copy()
        pieces = self.lexicon.pieces[numbers].copy()
        for place in np.flatnonzero(chance.random(len(numbers)) < 0.12 * blur):
            wrong = mutated(self.names[numbers[place]], random.Random(int(chance.integers(1 << 30))))
            rows[place] = self.speller.rows([wrong])[0]
            pieces[place] = self.lexicon.cutter.unknown
        strength = blur * chance.gamma(2.0, 0.35, (len(rows), 1))
        pieces[~self.lexicon.whole[numbers] | (strength[:, 0] > ILLEGIBLE)] = self.lexicon.cutter.unknown
        rows += (chance.standard_normal(rows.shape) * strength / np.sqrt(rows.shape[1])).astype(np.float32)
        rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
        order = line_order(boxes)
        read = Reading(rows[order].astype(np.float32), boxes[order].astype(np.float32), pieces[order])
        return task.framed(question, page, read, self.lexicon)
