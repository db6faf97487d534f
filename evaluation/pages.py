"""One's own questions through the pipeline that is served, from files to report."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from domain.fingerprint import Fingerprint
from domain.page import Query
from evaluation import provenance
from evaluation.assess import assess
from evaluation.folder import Benchmark, Files, check, resolve
from evaluation.gallery import Case, worst
from evaluation.grounding import Pointed, aims, figures, ground
from evaluation.placing import Placed, accepted, place, size_bytes, stored
from evaluation.questions import Qrels, Question
from evaluation.rank import Ranking, configurations, rank
from evaluation.report import Costs, Provenance, Report
from evaluation.slices import Group, groups
from library.library import Library
from library.options import SearchOptions
from library.results import FailedInput, Progress

DEPTH = 100

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Plan:
    """How to evaluate.

    Attributes:
        options: of the whole pipeline; `k` is the depth to which rankings are scored.
        bound: ask each question within its own document only.
        allow_missing: leave out and count what is missing.
        embedding: called after each batch of pages; `asking` with a stage's name after each query.
    """

    options: SearchOptions = field(default_factory=lambda: SearchOptions(k=DEPTH))
    bound: bool = False
    allow_missing: bool = False
    embedding: Callable[[Progress], None] = lambda _: None
    asking: Callable[[str], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class Outcome:
    """A report and what is behind it.

    Attributes:
        rankings: of each stage.
        cases: the worst questions with pictures.
        failed: what could not be indexed.
        qrels: the judgements, under the names that the rankings bear.
        groups: the slices, by places in the report's questions.
        pointed: what grounding measured on each page.
        embedded: pages that were embedded now.
    """

    report: Report
    rankings: tuple[Ranking, ...]
    cases: tuple[Case, ...]
    failed: tuple[FailedInput, ...]
    qrels: Qrels
    groups: tuple[Group, ...]
    pointed: Pointed
    embedded: int

    @property
    def partial(self) -> bool:
        """Whether something was left out."""
        return bool(self.failed or self.report.left_out)


def evaluate_folder(library: Library, files: Files, plan: Plan) -> Outcome:
    """Index a folder's PDFs where they are not indexed yet, then ask its questions.

    The files are checked before anything is indexed, and against page counts before anything is embedded.

    Raises:
        UsageError: something is wrong with the files; names file and line.
    """
    start = time.monotonic()
    check(files, bound=plan.bound, allow_missing=plan.allow_missing)
    _opened(library, plan)
    job_id, pages = accepted(library, files)
    benchmark = resolve(files, pages, bound=plan.bound, allow_missing=plan.allow_missing)
    placed = place(library, files, job_id, progress=plan.embedding)
    return _evaluated(library, files, benchmark, placed=placed, plan=plan, start=start)


def evaluate_collection(library: Library, collection: str, files: Files, plan: Plan) -> Outcome:
    """Ask questions about a stored collection.

    Raises:
        UsageError: something is wrong with the files or the collection; names file and line.
    """
    start = time.monotonic()
    placed = stored(library, collection)
    benchmark = resolve(files, placed.pages, bound=plan.bound, allow_missing=plan.allow_missing)
    return _evaluated(library, files, benchmark, placed=placed, plan=plan, start=start)


def _opened(library: Library, plan: Plan) -> None:
    """Load the models, so that one that cannot be loaded is named before hours of embedding, not after."""
    arms = plan.options.arms or library.settings.arms
    encoder = library.encoder.name if "visual" in arms else "no encoder"
    reranker = library.reranker if plan.options.rerank not in {"off", 0} else None
    _log.info("evaluating %s and %s", encoder, reranker.name if reranker else "no reranker")


def _evaluated(
    library: Library, files: Files, benchmark: Benchmark, *, placed: Placed, plan: Plan, start: float
) -> Outcome:
    corpus = placed.corpus
    qrels = corpus.canonical(benchmark.qrels)
    questions = benchmark.questions
    rankings = _ranked(library, questions, placed, plan)
    slices = _groups(questions, placed, qrels)
    found = assess(qrels, [q.id for q in questions], rankings, groups=slices)
    goals = aims(questions, qrels, corpus)
    blind = bool(goals) and "visual" not in library.settings.arms
    pointed = ground(library, goals if not blind else (), ready=placed.ready.__contains__, tick=plan.asking)
    report = Report(
        title=f"{files.name}{', within the document' if plan.bound else ''}",
        provenance=provenance_of(
            library,
            plan.options,
            data=f"{files.name}{'/within-document' if plan.bound else ''}",
            revision=files.revision,
            spent=(time.monotonic() - start, placed.seconds),
        ),
        stages=found.stages,
        lifts=found.lifts,
        slices=found.slices,
        costs=costs(library, placed),
        queries=tuple(q.id for q in questions),
        scores=found.scores,
        grounding=figures(pointed),
        left_out=benchmark.left_out,
        notes=_notes(placed, blind=blind),
    )
    values = found.scores[report.pipeline.name]["nDCG@10"]
    cases = worst(library, corpus, questions=questions, qrels=qrels, run=rankings[-1].run, values=values)
    return Outcome(report, rankings, cases, placed.failed, qrels, slices, pointed, placed.embedded)


def _notes(placed: Placed, *, blind: bool) -> tuple[str, ...]:
    notes = []
    if placed.failed:
        notes.append(f"{len(placed.failed)} files or pages could not be indexed")
    if blind:
        notes.append("grounding was not measured: this library has no visual arm")
    return tuple(notes)


def _ranked(
    library: Library, questions: Sequence[Question], placed: Placed, plan: Plan
) -> tuple[Ranking, ...]:
    everything = frozenset(document.id for document in library.documents())
    scope = None if everything == placed.corpus.scope else placed.corpus.scope
    queries = [
        Query(q.id, q.text, frozenset({placed.corpus.documents[q.doc]}) if plan.bound and q.doc else scope)
        for q in questions
    ]
    arms = plan.options.arms or library.settings.arms
    reranked = plan.options.rerank not in {"off", 0} and library.reranker is not None
    stages = configurations(plan.options, arms, reranked=reranked)
    return tuple(
        rank(library, queries, placed.corpus, configuration=stage, tick=plan.asking) for stage in stages
    )


def _groups(questions: Sequence[Question], placed: Placed, qrels: Any) -> tuple[Group, ...]:
    layer = []
    for question in questions:
        gold = [placed.corpus.page(p) for p, score in qrels[question.id].items() if score > 0]
        layer.append("yes" if any(page in placed.with_text for page in gold) else "no")
    return groups(questions, {"text layer": layer})


def costs(library: Library, placed: Placed) -> Costs:
    """What the index took, images, originals and vectors together."""
    rate = placed.embedded / placed.seconds if placed.embedded and placed.seconds else None
    pages = sum(info.ready_pages for info in library.collections())
    return Costs(
        documents=len(placed.corpus.scope),
        pages=len(placed.ready),
        pages_per_second=rate,
        bytes_per_page=size_bytes(library.directory) / max(pages, 1),
    )


def provenance_of(
    library: Library, options: SearchOptions, *, data: str, revision: str, spent: tuple[float, float]
) -> Provenance:
    """Where figures come from; `spent` are the seconds of everything and of indexing."""
    reranker = library.reranker if options.rerank not in {"off", 0} else None
    return Provenance(
        commit=provenance.commit(),
        version=provenance.version(),
        encoder=_made_by(library.encoder.fingerprint),
        reranker=_made_by(reranker.fingerprint) if reranker else None,
        data=data,
        revision=revision,
        hardware=provenance.hardware(),
        created=provenance.now(),
        seconds=spent[0],
        index_seconds=spent[1],
        settings=asdict(library.settings),
        options=asdict(replace(options, collections=None)),
    )


def _made_by(fingerprint: Fingerprint) -> dict[str, Any]:
    return {**asdict(fingerprint), "digest": fingerprint.digest}
