"""What the first stage that is served says of each question: the pages that a reranker gets to read."""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from domain.documents import Extent, lift_documents
from domain.fusion import fuse_scores
from domain.page import PageId, document_of, page_id
from domain.run import Run
from domain.stage import Stage, then
from library.arms import LexicalArm, TextArm
from library.settings import Settings
from retrieve.dense import PageText, load
from retrieve.engine import Engine
from retrieve.lexical import LexicalIndex, LexicalPage
from training.reranker_pages import Asked, WordPage

NEAR = 40
"""Pages that rank highest for a question and do not answer it."""

AT_ONCE = 64
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, eq=False)
class Mined:
    """The first stage's word on every question.

    Attributes:
        best: (questions,) of the pages that answer, the one that ranks highest.
        near: (questions, NEAR) pages that rank high and do not answer, best first; -1 where there are fewer.
        scores: (questions, 1 + NEAR) float32 scores of `best` and of each of `near`; what was not found counts as the
            lowest.
    """

    best: NDArray[np.int64]
    near: NDArray[np.int64]
    scores: NDArray[np.float32]

    def easy(self, question: int) -> bool:
        """Whether a page that answers ranks first."""
        scores = self.scores[question]
        return bool(scores[0] > scores[1:].max())


def mine(
    pages: Sequence[WordPage], asked: Sequence[Asked], *, tower: Path, work: Path, tell: Progress
) -> Mined:
    """Index pages by words and by meaning as a library does, and ask it every question.

    Sight takes no part: pages are many, and a third of a second each.

    Args:
        pages: what is searched.
        asked: the questions, and the pages that answer them.
        tower: the text tower.
        work: holds the two indexes while this runs.
        tell: told one line now and then.
    """
    names = {name: f"{place:032x}" for place, name in enumerate(sorted({page.document for page in pages}))}
    ids = [page_id(names[page.document], page.number + 1) for page in pages]
    place = {name: at for at, name in enumerate(ids)}
    best = np.array([one.pages[0] for one in asked])
    near = np.full((len(asked), NEAR), -1)
    scores = np.zeros((len(asked), 1 + NEAR), np.float32)
    with _indexed(pages, ids, tower, work, tell) as stage:
        for start in range(0, len(asked), AT_ONCE):
            some = asked[start : start + AT_ONCE]
            answers = stage(Run.ask(*(replace(one.query, id=str(at)) for at, one in enumerate(some)))).answers
            for at, (one, answer) in enumerate(zip(some, answers, strict=True), start=start):
                found = [(place[hit.page], hit.score) for hit in answer.hits]
                right = [(page, score) for page, score in found if page in one.pages]
                wrong = [(page, score) for page, score in found if page not in one.pages][:NEAR]
                scores[at] = min((score for _, score in found), default=0.0)
                if right:
                    best[at], scores[at, 0] = right[0]
                near[at, : len(wrong)] = [page for page, _ in wrong]
                scores[at, 1 : 1 + len(wrong)] = [score for _, score in wrong]
            if start % (AT_ONCE * 50) == 0:
                tell(f"asked {start}/{len(asked)} questions")
    return Mined(best, near, scores)


@contextmanager
def _indexed(
    pages: Sequence[WordPage], ids: Sequence[PageId], tower_at: Path, work: Path, tell: Progress
) -> Iterator[Stage]:
    """The first stage over these pages; its indexes are gone afterwards."""
    shutil.rmtree(work, ignore_errors=True)
    tower = load(tower_at)
    with (
        closing(LexicalIndex.open(work / "lexical", writable=True)) as index,
        closing(
            Engine.open(work / "text", fingerprint=tower.fingerprint, dim=tower.dim, writable=True)
        ) as engine,
    ):
        called = [page.title or page.document for page in pages]
        index.add([LexicalPage(i, c, "", page.text) for i, c, page in zip(ids, called, pages, strict=True)])
        index.commit()
        for start in range(0, len(pages), AT_ONCE):
            some = slice(start, start + AT_ONCE)
            texts = [
                PageText(title=c, text=page.text) for c, page in zip(called[some], pages[some], strict=True)
            ]
            engine.add(ids[some], tower.passages(texts))
            if start % (AT_ONCE * 20) == 0:
                tell(f"read {start}/{len(pages)} pages by meaning")
        engine.settle()
        lengths = Counter(map(document_of, ids))
        settings = Settings()
        arms = (LexicalArm(index), TextArm(tower, engine))
        yield then(
            fuse_scores(
                *(arm.stage(settings.candidates) for arm in arms),
                weights=[settings.arm_weights[arm.name] for arm in arms],
            ),
            lift_documents(settings.document_share, lambda docs: {doc: Extent(lengths[doc]) for doc in docs}),
        )
    shutil.rmtree(work)
