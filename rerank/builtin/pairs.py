"""From a question and pages to the padded batch that the network reads."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from domain import words
from rerank.builtin.pieces import MOST, Ids, Pieces
from rerank.builtin.signals import Pairs
from rerank.builtin.spelling import Floats, Speller
from rerank.reranker import PageFeatures

FAINT = 0.02
"""A row shorter than this without its last two numbers shows no word."""

MOST_CELLS = 1200
"""Page words that are read at most; a densely printed page has about 900."""

OPENING = 150
"""Words with which a document begins, and among which stands what it is about: a form's first 50 say no name."""

SURE = 0.6
"""A vector less like every known word than this is a word that cannot be named."""


@dataclass(frozen=True, slots=True, eq=False)
class Wording:
    """The words of a question.

    Attributes:
        rows: (q, dim) float32 unit rows.
        worth: (q,) float32, how much each tells.
        pieces: (q + 2, MOST) int64, the marks before and behind among them.
    """

    rows: Floats
    worth: Floats
    pieces: Ids


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """The words of a page in reading order, before them what is known of its document.

    Attributes:
        cells: (p, dim) float32 unit rows.
        boxes: (p, 4) float32 in fractions of the page; zeros where nobody knows the place.
        pieces: (p, MOST) int64, the word pieces of each.
    """

    cells: Floats
    boxes: Floats
    pieces: Ids


class Reader:
    """Reads questions and pages into what the network compares: spellings, places and word pieces."""

    def __init__(self, speller: Speller, pieces: Pieces) -> None:
        """Read with an encoder's spelling and a text tower's word pieces."""
        self.speller, self.pieces = speller, pieces

    @property
    def digest(self) -> str:
        """Differs when spelling or word pieces differ."""
        return f"{self.speller.digest}-{self.pieces.digest}"

    def question(self, text: str, *, most: int) -> Wording:
        """The first words of a question."""
        found = words.split(text)[:most]
        return Wording(
            self.speller.rows(found), self.speller.worths(found), self.pieces.framed(self.pieces.words(found))
        )

    def about(self, question: str, *, title: str, opening: str) -> list[str]:
        """What a question is told of a page's document: its title, and those of its own words that the opening says."""
        asked, named, begun = words.split(question), words.split(title), words.split(opening)
        places = told(asked, self.speller.worths(asked), opening=begun[:OPENING], title=named)
        return [*named, *(asked[at] for at in places)]

    def written(self, text: str, *, about: Sequence[str]) -> Reading:
        """The words of a page's text layer, behind those about its document; where they stand is not known."""
        return self._placed([*about, *words.split(text)[:MOST_CELLS]])

    def seen(self, features: PageFeatures, *, about: Sequence[str]) -> Reading:
        """The words that the visual encoder read, line by line from the top, behind those about the document."""
        cells, boxes = _cells(features)
        return joined(self._placed(about), Reading(cells, boxes, self.pieces.words(self.named(cells))))

    def text(self, features: PageFeatures) -> str:
        """The words that the visual encoder read and that are known, line by line from the top."""
        return " ".join(filter(None, self.named(_cells(features)[0])))

    def named(self, cells: Floats) -> list[str]:
        """The known word that each of these vectors (n, dim) is most like; empty where it is like none."""
        names, rows = self._known
        if not len(cells):
            return []
        likeness = cells @ rows.T
        best = likeness.argmax(1)
        sure = likeness[np.arange(len(best)), best] >= SURE
        return [
            names[place] if known else "" for place, known in zip(best.tolist(), sure.tolist(), strict=True)
        ]

    @cached_property
    def _known(self) -> tuple[tuple[str, ...], Floats]:
        names = self.pieces.whole_words
        return names, self.speller.rows(names)

    def _placed(self, found: Sequence[str]) -> Reading:
        nowhere = np.zeros((len(found), 4), dtype=np.float32)
        return Reading(self.speller.rows(found), nowhere, self.pieces.words(found))


def told(
    asked: Sequence[Hashable], worths: Floats, *, opening: Iterable[Hashable], title: Iterable[Hashable]
) -> list[int]:
    """The places of a question's words that a document begins with and its title lacks, of those that tell most.

    A question names its document, and most pages of it do not: what the document's beginning says holds for them too.
    """
    begun = set(opening) - set(title)
    enough = float(np.median(worths)) if len(worths) else 0.0
    return [
        at
        for at, word in enumerate(asked)
        if word in begun and worths[at] >= enough and word not in asked[:at]
    ]


def joined(*parts: Reading) -> Reading:
    """One reading of several, in their order."""
    return Reading(
        np.concatenate([part.cells for part in parts]),
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.pieces for part in parts]),
    )


def _cells(features: PageFeatures) -> tuple[Floats, Floats]:
    """The words seen on a page, line by line: (p, dim) unit rows and (p, 4) boxes.

    The encoder's rows end in two numbers of its own bookkeeping, which stand for no part of a word, and one row is
    nothing else; without them, made unit again, a row is the word.
    """
    cells = np.pad(features.rows[:, :-2].astype(np.float32), ((0, 0), (0, 1)))
    lengths = np.linalg.norm(cells, axis=1)
    kept = np.flatnonzero(lengths > FAINT)
    kept = kept[line_order(features.boxes[kept])][:MOST_CELLS]
    return cells[kept] / lengths[kept, None], features.boxes[kept].astype(np.float32)


def line_order(boxes: Floats) -> NDArray[np.int64]:
    """The order of boxes (n, 4) by line, then from left to right; a line is as high as a typical box."""
    if not len(boxes):
        return np.zeros(0, dtype=np.int64)
    middles = (boxes[:, 1] + boxes[:, 3]) / 2
    step = max(float(np.median(boxes[:, 3] - boxes[:, 1])), 1e-3)
    falling = np.argsort(middles, kind="stable")
    lines = np.zeros(len(boxes), dtype=np.int64)
    lines[falling[1:]] = np.cumsum(np.diff(middles[falling]) > 0.5 * step)
    order: NDArray[np.int64] = np.lexsort((boxes[:, 0], lines))
    return order


def beside(asked: Sequence[Wording], pages: Sequence[Reading], *, dim: int) -> Pairs:
    """Pad questions and pages to one batch; `asked` and `pages` are as many."""
    rows, there = _padded([one.rows for one in asked], dim)
    worth, _ = _padded([one.worth[:, None] for one in asked], 1)
    cells, shown = _padded([page.cells for page in pages], dim)
    boxes, _ = _padded([page.boxes for page in pages], 4)
    longest = rows.shape[1] + 2
    asked_pieces = _padded_ids([one.pieces for one in asked], longest)
    shown_pieces = _padded_ids([page.pieces for page in pages], cells.shape[1])
    return Pairs(rows, worth.squeeze(-1), there, asked_pieces, cells, boxes, shown, shown_pieces)


def _padded(parts: Sequence[Floats], width: int) -> tuple[Tensor, Tensor]:
    longest = max(1, *(len(part) for part in parts), 1)
    rows = np.zeros((len(parts), longest, width), dtype=np.float32)
    there = np.zeros((len(parts), longest), dtype=bool)
    for place, part in enumerate(parts):
        rows[place, : len(part)] = part
        there[place, : len(part)] = True
    return torch.from_numpy(rows), torch.from_numpy(there)


def _padded_ids(parts: Sequence[Ids], longest: int) -> Tensor:
    ids = np.full((len(parts), longest, MOST), -1, dtype=np.int64)
    for place, part in enumerate(parts):
        ids[place, : len(part)] = part
    return torch.from_numpy(ids)
