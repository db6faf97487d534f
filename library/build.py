"""The one function that builds the pipeline: what is measured is what is served."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from domain.documents import ExtentsOf, lift_documents
from domain.editions import prefer_editions
from domain.errors import EngineError, UsageError
from domain.fingerprint import Fingerprint
from domain.fusion import fuse_scores
from domain.named_pages import Searchable, lift_named
from domain.page import PageId
from domain.run import Run, marked
from domain.stage import Stage, cut, fuse, then
from domain.wording import Reword, Wording, reworded
from library.arms import Arm
from library.options import SearchOptions
from library.settings import Settings
from rerank.budget import ANY_SIZE, Budget, CostModel, Deadline
from rerank.calibration import Calibration, min_probability
from rerank.diversify import boost, cap_documents, fold, spread
from rerank.reranker import Candidate, Reranker
from rerank.skip import unless_clear
from rerank.stage import rerank
from retrieve.outlines import lift_parts

Timings = dict[str, float]

FIRST = "first"
"""The stage's name in the trace of a page that the first stage found, where rerankers follow."""

NAMING = Fingerprint("naming of found pages")
"""Under this name the cost model learns what a hit costs after the pipeline: its names and its snippet."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a pipeline is made of.

    Attributes:
        arms: the arms that may be asked, by name.
        reranker: gives the cross-encoder when it is first needed; None is no reranker.
        load: gives a candidate page to the reranker.
        similarities: (n, n) likeness of n pages, for folding and variety.
        calibration: turns the reranker's scores into probabilities, where there is one.
        cost: what a pair costs, learned from every search.
        final_reranker: gives the cross-encoder of the top few pages.
        fields: the metadata of a page's document, for boosts.
        size_of: the size class of a page, by which costs are learned apart.
        extents_of: how many pages documents have, and how they are numbered.
        searchable: which of some pages can be found.
        reword: what is searched for in place of a question.
    """

    settings: Settings
    arms: Mapping[str, Arm]
    reranker: Callable[[], Reranker | None]
    load: Callable[[PageId], Candidate]
    similarities: Callable[[Sequence[PageId]], NDArray[np.float32]]
    calibration: Calibration | None
    cost: CostModel
    final_reranker: Callable[[], Reranker | None] = lambda: None
    fields: Callable[[PageId], Mapping[str, str]] = lambda _page: {}
    size_of: Callable[[PageId], str] = lambda _page: ANY_SIZE
    extents_of: ExtentsOf = lambda _documents: {}
    searchable: Searchable = lambda _pages: ()
    reword: Reword = Wording


def pipeline(
    parts: Parts, options: SearchOptions, timings: Timings | None = None, *, started: float | None = None
) -> Stage:
    """Join arms, fusion, reranker and third stage as the settings and this search's options say.

    Args:
        parts: the library's arms and models.
        options: of this search; its scope is in the queries already.
        timings: milliseconds by stage are added here.
        started: when the search began, in seconds of `time.perf_counter`; the budget counts from then, or from now.

    Raises:
        UsageError: an arm was asked for that this library does not have.
    """
    spent = timings if timings is not None else {}
    begun = time.perf_counter() if started is None else started
    deadline = Deadline(begun, options.budget_ms) if options.budget_ms else None
    stages = [timed(FIRST, first_stage(parts, options, spent), spent)]
    if second := _second_stage(parts, options, deadline):
        stages.append(timed("rerank", second, spent))
    stages.append(timed("third", then(*_third_stages(parts)), spent))
    return reworded(parts.reword, then(*stages, cut(options.k)))


def first_stage(parts: Parts, options: SearchOptions, timings: Timings | None = None) -> Stage:
    """Ask the arms, fuse what they found, let documents speak for their pages, and lift pages that are named."""
    spent = timings if timings is not None else {}
    settings = parts.settings
    names = options.arms or settings.arms
    missing = [name for name in names if name not in parts.arms]
    if missing or not names:
        have = ", ".join(parts.arms)
        raise UsageError(f"this library has no arm {', '.join(missing) or '(none named)'}; it has: {have}")
    arms = [timed(name, parts.arms[name].stage(settings.candidates), spent) for name in names]
    lifts = [lift_documents(settings.document_share, parts.extents_of)]
    lifts += _lifts(parts, parts.searchable)
    if len(arms) == 1:
        return then(arms[0], *lifts)
    weights = [settings.arm_weights.get(name, 1.0) for name in names]
    join = fuse if settings.fusion == "ranks" else fuse_scores
    return then(join(*arms, weights=weights), *lifts, cut(max(settings.candidates, options.k)))


def _noted(run: Run) -> Run:
    """Write into every trace where the page stands before it is reordered: no arm's rank says that."""
    return Run(tuple(replace(answer, hits=marked(answer.hits, FIRST)) for answer in run.answers))


def timed(name: str, stage: Stage, timings: Timings) -> Stage:
    """The stage, adding the milliseconds that it takes to `timings[name]`."""

    def clocked(run: Run) -> Run:
        started = time.perf_counter()
        try:
            return stage(run)
        finally:
            timings[name] = timings.get(name, 0.0) + (time.perf_counter() - started) * 1000.0

    return clocked


def _second_stage(parts: Parts, options: SearchOptions, deadline: Deadline | None) -> Stage | None:
    settings = parts.settings
    depth = options.rerank if isinstance(options.rerank, int) else settings.rerank_depth
    if options.rerank == "off" or not depth:
        return None

    def stage(run: Run) -> Run:
        """Models are loaded here, so that an engine that is down costs this stage alone."""
        return _readers(parts, depth, _budget(parts, options, deadline))(run)

    if settings.skip_margin > 0 and options.rerank == "auto":
        return _or_as_it_was(unless_clear(stage, threshold=settings.skip_margin))
    return _or_as_it_was(stage)


def _readers(parts: Parts, depth: int, budget: Budget | None) -> Stage:
    """The reranker, and the larger one behind it where the settings name one."""
    settings, stages = parts.settings, list[Stage]()
    if reranker := parts.reranker():
        stages.append(_reading(parts, reranker, depth=depth, budget=budget, blend=settings.blend))
    if settings.final_reranker != "none" and (final := parts.final_reranker()):
        few = min(depth, settings.final_depth)
        stages.append(_reading(parts, final, depth=few, budget=budget, blend=0.0))
    if stages:  # rerankers know nothing of page numbers and of what other pages say
        stages = [_noted, *stages, *_lifts(parts)]
    return then(*stages)


def _lifts(parts: Parts, searchable: Searchable | None = None) -> list[Stage]:
    """Lift the pages that documents' own lists or the question's years and numbers lead to; named ones may enter."""
    stages = [prefer_editions(parts.extents_of)] if parts.settings.editions else []
    stages += [lift_parts(parts.extents_of)] if parts.settings.outlines else []
    return [*stages, lift_named(parts.extents_of, searchable)] if parts.settings.named_pages else stages


def _budget(parts: Parts, options: SearchOptions, deadline: Deadline | None) -> Budget | None:
    """What reranking may take, less what naming the found pages takes afterwards."""
    if deadline is None:
        return None
    each_ms = parts.cost.ms_per_pair(NAMING, quantile=0.9) or 0.0
    return Budget(deadline, parts.cost, size_of=parts.size_of, reserve_ms=each_ms * options.k)


def _reading(parts: Parts, reranker: Reranker, *, depth: int, budget: Budget | None, blend: float) -> Stage:
    """One reranker over the top; a calibration of the library's other reranker is none of its business."""
    calibration = parts.calibration
    if parts.settings.final_reranker != "none" and calibration and not calibration.fits(reranker.fingerprint):
        calibration = None
    return rerank(
        reranker,
        parts.load,
        depth=depth,
        budget=budget,
        blend=blend,
        calibration=calibration,
    )


def _or_as_it_was(stage: Stage) -> Stage:
    """A remote reranker that is down costs the second stage, never the answer; the answer says so."""

    def careful(run: Run) -> Run:
        try:
            return stage(run)
        except EngineError as error:
            remark = f"not reranked: {error}"
            return Run(tuple(replace(answer, notes=(*answer.notes, remark)) for answer in run.answers))

    return careful


def _third_stages(parts: Parts) -> list[Stage]:
    settings = parts.settings
    stages: list[Stage] = []
    if settings.boosts:
        stages.append(boost(partial(_boost, parts)))
    if settings.min_probability > 0:
        stages.append(min_probability(settings.min_probability))
    if settings.fold > 0:
        stages.append(fold(parts.similarities, threshold=settings.fold))
    if settings.relevance < 1:
        stages.append(spread(parts.similarities, relevance=settings.relevance))
    if settings.per_document:
        stages.append(cap_documents(settings.per_document))
    return stages


def _boost(parts: Parts, page: PageId) -> float:
    """The sum of the settings' boosts whose field and value the page's document has."""
    fields = parts.fields(page)
    return math.fsum(parts.settings.boosts.get(f"{name}:{value}", 0.0) for name, value in fields.items())
