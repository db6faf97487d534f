"""What every arm and reranker said of labelled questions, recorded once, replayed through the real pipeline.

A sweep over hundreds of configurations then costs no model call, and each configuration is still built by
the function that builds what is served.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from domain.documents import Extent
from domain.errors import UsageError
from domain.fingerprint import Fingerprint
from domain.page import Hit, PageId, Query
from domain.run import Answer, Run
from domain.stage import Stage
from domain.wording import Wording
from evaluation.questions import Qrels
from library.arms import Arm
from library.build import Parts
from library.library import Library
from library.options import SearchOptions
from library.settings import Settings
from rerank.budget import CostModel
from rerank.reranker import Candidate
from rerank.stage import MARK

Tick = Callable[[str], None]

NO_RERANKER = "none"


@dataclass(frozen=True, slots=True)
class Asked:
    """Labelled questions about documents of a library.

    Attributes:
        queries: each with its scope; ids are unique.
        qrels: query id to page id to relevance.
        groups: what each question is about, so that no document is in two folds of a cross-validation.
        pages: pages that can be found.
        extents: how many pages each document has, how they are numbered and what parts they list, by id.
        meant: what is searched for in place of a question, by its id.
    """

    queries: tuple[Query, ...]
    qrels: Qrels
    groups: tuple[str, ...]
    pages: int
    extents: Mapping[str, Extent] = field(default_factory=dict)
    meant: Mapping[str, Query] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Readings:
    """A reranker's raw logits.

    Attributes:
        logits: query id to page id to logit.
        ms_per_pair: one a query, loading of the page included.
    """

    name: str
    fingerprint: Fingerprint
    logits: Mapping[str, Mapping[PageId, float]]
    ms_per_pair: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Recording:
    """Rankings of every arm, and readings of every reranker, in the order of the questions."""

    asked: Asked
    arms: Mapping[str, tuple[tuple[Hit, ...], ...]]
    arm_ms: Mapping[str, tuple[float, ...]]
    readings: Mapping[str, Readings] = field(default_factory=dict)

    @property
    def ids(self) -> tuple[str, ...]:
        """The questions' ids, in order."""
        return tuple(query.id for query in self.asked.queries)


def plain(settings: Settings, depth: int) -> Settings:
    """The settings under which arms and rerankers are recorded: deep, equal weights, no third stage."""
    return replace(
        settings,
        candidates=depth,
        arm_weights={},
        fusion="ranks",
        document_share=0.0,
        blend=0.0,
        skip_margin=0.0,
        min_probability=0.0,
        fold=0.0,
        relevance=1.0,
        per_document=0,
    )


def arms_alone(settings: Settings, depth: int) -> Settings:
    """The same, and nothing lifts or lowers pages: a replay does it."""
    return replace(plain(settings, depth), named_pages=False, outlines=False, editions=False)


def record(library: Library, asked: Asked, *, depth: int, tick: Tick = lambda _: None) -> Recording:
    """Ask every arm of the library every question, one at a time, so that the times are a person's.

    Args:
        library: opened with settings of `arms_alone`.
        asked: the questions.
        depth: pages an arm returns.
        tick: called with the arm's name after each question.
    """
    arms: dict[str, tuple[tuple[Hit, ...], ...]] = {}
    spent: dict[str, tuple[float, ...]] = {}
    for arm in library.settings.arms:
        stage = library.pipeline(SearchOptions(k=depth, rerank="off", arms=(arm,)))
        stage(Run(()))  # loads what is loaded on first use
        answers, spent[arm] = _asked(stage, asked.queries, partial(tick, arm))
        arms[arm] = tuple(answer.hits for answer in answers)
    return Recording(asked, arms, spent)


def read(library: Library, recording: Recording, *, depth: int, tick: Tick = lambda _: None) -> Recording:
    """Let the library's reranker read the equally fused top of every question; the recording with its logits.

    Raises:
        UsageError: the library has no reranker.
        ModelError: the reranker cannot be loaded, or returned nonsense.
    """
    reranker = library.reranker
    if reranker is None:
        raise UsageError("there is no reranker to record; name one with --reranker")
    options = SearchOptions(k=depth, rerank=depth)
    queries = recording.asked.queries
    first, first_ms = _asked(library.pipeline(replace(options, rerank="off")), queries, lambda: None)
    answers, both_ms = _asked(library.pipeline(options), queries, partial(tick, reranker.name))
    logits = {answer.query.id: _logits(answer) for answer in answers}
    each_ms = tuple(
        max(both - before, 0.0) / max(len(answer.hits), 1)
        for answer, before, both in zip(first, first_ms, both_ms, strict=True)
    )
    readings = Readings(reranker.name, reranker.fingerprint, logits, each_ms)
    return replace(recording, readings={**recording.readings, library.settings.reranker: readings})


def _asked(
    stage: Stage, queries: Sequence[Query], tick: Callable[[], None]
) -> tuple[list[Answer], tuple[float, ...]]:
    answers, times = [], []
    for query in queries:
        started = time.perf_counter()
        answers.append(stage(Run.ask(query)).answers[0])
        times.append((time.perf_counter() - started) * 1000.0)
        tick()
    return answers, tuple(times)


def _logits(answer: Answer) -> dict[PageId, float]:
    return {hit.page: mark.score for hit in answer.hits for mark in hit.trace if mark.stage == MARK}


def joined(parts: Mapping[str, Recording]) -> Recording:
    """Several recordings of the same arms and rerankers as one; questions are named by their part.

    Raises:
        UsageError: there is none, or the arms or rerankers differ.
    """
    several = list(parts.values())
    if not several or len({(tuple(p.arms), tuple(p.readings)) for p in several}) != 1:
        raise UsageError(
            "recordings can be joined if there are any and they have the same arms and rerankers"
        )
    if len(several) == 1:
        return several[0]
    queries = [
        replace(query, id=f"{name}:{query.id}")
        for name, part in parts.items()
        for query in part.asked.queries
    ]
    qrels = {f"{name}:{q}": judged for name, part in parts.items() for q, judged in part.asked.qrels.items()}
    groups = [f"{name}:{group}" for name, part in parts.items() for group in part.asked.groups]
    first = several[0]
    return Recording(
        Asked(
            tuple(queries),
            qrels,
            tuple(groups),
            max(part.asked.pages for part in several),
            {doc: extent for part in several for doc, extent in part.asked.extents.items()},
            {f"{name}:{q}": meant for name, part in parts.items() for q, meant in part.asked.meant.items()},
        ),
        arms={arm: tuple(chain.from_iterable(p.arms[arm] for p in several)) for arm in first.arms},
        arm_ms={arm: tuple(chain.from_iterable(p.arm_ms[arm] for p in several)) for arm in first.arms},
        readings={name: _joined_readings(parts, name) for name in first.readings},
    )


def _joined_readings(parts: Mapping[str, Recording], name: str) -> Readings:
    found = {part: recording.readings[name] for part, recording in parts.items()}
    return replace(
        next(iter(found.values())),
        logits={f"{part}:{query}": read for part, r in found.items() for query, read in r.logits.items()},
        ms_per_pair=tuple(chain.from_iterable(r.ms_per_pair for r in found.values())),
    )


class ReplayedArm:
    """An arm that answers from a recording."""

    def __init__(self, name: str, found: Mapping[str, tuple[Hit, ...]]) -> None:
        """Answer with these rankings, by query id."""
        self.name, self._found = name, found

    def stage(self, k: int) -> Stage:
        """The first k pages of what was recorded."""
        return lambda run: Run(tuple(replace(a, hits=self._found[a.query.id][:k]) for a in run.answers))


class ReplayedReranker:
    """A reranker that answers from a recording; a page that it has not read counts as its worst."""

    def __init__(self, readings: Readings, texts: Mapping[str, str]) -> None:
        """Take recorded logits, and the questions' texts by id."""
        self.name, self.fingerprint = readings.name, readings.fingerprint
        self._table: dict[str, dict[PageId, float]] = {}
        for query, logits in readings.logits.items():
            self._table.setdefault(texts[query], {}).update(logits)
        self.unread = 0

    def scores(self, query: str, candidates: Sequence[Candidate]) -> list[float]:
        """The recorded logits."""
        known = self._table.get(query, {})
        self.unread += sum(candidate.page not in known for candidate in candidates)
        worst = min(known.values(), default=0.0)
        return [known.get(candidate.page, worst) for candidate in candidates]


def replayed(recording: Recording, settings: Settings) -> Parts:
    """The parts of a pipeline with these settings that answers from the recording."""
    ids = recording.ids
    readings = recording.readings.get(settings.reranker)
    meant = {query.id: recording.asked.meant.get(query.id, query) for query in recording.asked.queries}
    texts = {id_: query.whole for id_, query in meant.items()}
    reranker = ReplayedReranker(readings, texts) if readings else None
    return Parts(
        settings=settings,
        arms={
            name: cast("Arm", ReplayedArm(name, dict(zip(ids, found, strict=True))))  # only asked for stages
            for name, found in recording.arms.items()
        },
        reranker=lambda: reranker,
        load=_nothing,
        similarities=_alike,
        calibration=None,
        cost=CostModel(),
        extents_of=lambda documents: {
            doc: known for doc in documents if (known := recording.asked.extents.get(doc))
        },
        searchable=lambda pages: pages,
        reword=lambda query: Wording(replace(meant[query.id], id=query.id)),
    )


def _nothing(page: PageId) -> Candidate:
    return Candidate(page, lambda: Image.new("RGB", (1, 1)), lambda: "", lambda: None)


def _alike(pages: Sequence[PageId]) -> NDArray[np.float32]:
    return np.eye(len(pages), dtype=np.float32)
