"""ViDoRe through mteb 2: the served pipeline and its first stage, with result files, runs and reports."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import mteb
import platformdirs
from mteb.cache import ResultCache

from evaluation import html, markdown, report
from evaluation.assess import assess
from evaluation.gallery import Case, worst
from evaluation.grounding import figures, ground
from evaluation.images import ImageCorpus
from evaluation.pages import provenance_of
from evaluation.placing import size_bytes
from evaluation.rank import FIRST, WHOLE, Ranking, configurations
from evaluation.report import Costs, Provenance, Report
from evaluation.runstore import RunStore
from evaluation.served import Served, Watch, revision
from evaluation.slices import groups
from evaluation.verbs import settings_key
from evaluation.vidore_boxes import Boxes, aims, boxes_of
from evaluation.vidore_data import Choice, choose
from evaluation.vidore_task import asked, corpus_of, data_of, judged_only, named
from library.library import Library
from library.options import SearchOptions
from library.settings import Settings


@dataclass(frozen=True, slots=True)
class Setup:
    """How to run: settings that differ from the defaults, the search options, and where results go."""

    results: Path
    options: SearchOptions
    settings: Mapping[str, Any] = field(default_factory=dict)
    library: Path | None = None
    watch: Watch = field(default_factory=Watch)


@dataclass(frozen=True, slots=True)
class TaskOutcome:
    """One task: its report, and mteb's main score of each stage (the mean over languages)."""

    task: str
    report: Report
    main_score: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Every task that was run, and those that were left out, with the reason."""

    benchmark: str
    tasks: tuple[TaskOutcome, ...]
    left_out: Mapping[str, str]


def evaluate(choice: Choice, setup: Setup) -> Outcome:
    """Run a benchmark; stopped at any moment and called again, it goes on where it was.

    Raises:
        UsageError: the choice or the data is wrong; names what.
    """
    chosen = choose(choice)
    outcomes = [_task(task, choice, setup) for task in chosen.tasks]
    outcome = Outcome(choice.benchmark, tuple(outcomes), chosen.left_out)
    report.write_text(setup.results / f"vidore-{choice.benchmark}.md", summary(outcome))
    return outcome


def summary(outcome: Outcome) -> str:
    """A table of all tasks: recall of the first stage beside the pipeline, and mteb's main scores."""
    stages = [stage.name for stage in outcome.tasks[0].report.stages]
    rows = []
    for done in outcome.tasks:
        first = next(s for s in done.report.stages if s.name == FIRST)
        rows.append(
            [
                done.task,
                f"{first.figures['recall@100'].mean:.3f}",
                *(f"{done.main_score[name]:.3f}" for name in stages),
            ]
        )
    mean = [sum(float(row[i]) for row in rows) / len(rows) for i in range(1, len(stages) + 2)]
    rows.append(["mean", *(f"{value:.3f}" for value in mean)])
    head = ["task", f"recall@100, {FIRST}", *(f"main score, {name}" for name in stages)]
    left = "".join(f"\n\nLeft out: {name}: {reason}" for name, reason in outcome.left_out.items())
    return f"# ViDoRe {outcome.benchmark}\n\n{markdown.table(head, rows)}{left}\n"


def machine_summary(outcome: Outcome) -> dict[str, Any]:
    """The outcome for machines: `--json`."""
    return {
        "benchmark": outcome.benchmark,
        "tasks": [
            {
                "task": done.task,
                "questions": len(done.report.queries),
                "main_score": dict(done.main_score),
                "stages": {
                    stage.name: {name: figure.mean for name, figure in stage.figures.items()}
                    for stage in done.report.stages
                },
            }
            for done in outcome.tasks
        ],
        "left_out": dict(outcome.left_out),
    }


def library_directory(task: str, settings: Settings) -> Path:
    """Where the pages of a task's corpus are kept; tasks on the same pages share a library."""
    root = Path(platformdirs.user_cache_dir("recto", appauthor=False))
    return root / "evaluation" / "vidore" / f"{corpus_of(task)}-{settings_key(settings)}"


def _task(task: Any, choice: Choice, setup: Setup) -> TaskOutcome:
    """Run every stage of a task, or read what an earlier call finished."""
    start = time.monotonic()
    settings = _settings(choice, setup)
    with Library.open(setup.library or library_directory(task.metadata.name, settings), settings) as library:
        models = _models(library, setup, candidates=choice.benchmark == "v3.1-reranking")
        cache = ResultCache(setup.results / "mteb")
        boxes = boxes_of(task.metadata.name, choice.benchmark, choice.data)
        finished = _finished(task, models, cache, setup, boxes=boxes)
        if finished:
            return finished
        task.load_data()
        task.convert_v1_dataset_format_to_v2(num_proc=None)
        judged_only(task)
        scores = {}
        for model in models:
            found = mteb.evaluate(model, task, cache=cache, show_progress_bar=False, co2_tracker=False)
            scores[model.configuration.name] = float(found.task_results[0].get_score())
            _complete(model, task)
        made = _report(library, task, models, boxes, setup=setup, start=start)
    return TaskOutcome(task.metadata.name, made, scores)


def _finished(
    task: Any, models: Sequence[Served], cache: ResultCache, setup: Setup, *, boxes: Boxes
) -> TaskOutcome | None:
    """The outcome of an earlier call on the same data, models and settings; None where there is none."""
    path = setup.results / "reports" / task.metadata.name / report.REPORT
    if not path.is_file():
        return None
    earlier = report.load(path)
    same = (
        earlier.provenance.revision == task.metadata.dataset["revision"]
        and earlier.provenance.options.get("models") == [_revision(model) for model in models]
        and earlier.provenance.options.get("languages") == list(task.hf_subsets)
        and earlier.provenance.options.get("boxes") == boxes.revision
    )
    stored = [cache.load_task_result(task.metadata.name, model.mteb_model_meta) for model in models]
    if not same or any(result is None for result in stored):
        return None
    named = zip(models, stored, strict=True)
    return TaskOutcome(
        task.metadata.name,
        earlier,
        {model.configuration.name: float(result.get_score()) for model, result in named if result},
    )


def _complete(model: Served, task: Any) -> None:
    """Have a ranking of every subset, also of those whose scores mteb had already."""
    for subset, data in data_of(task).items():
        if subset not in model.rankings:
            model.index(data["corpus"])
            model.search(
                data["queries"],
                task_metadata=task.metadata,
                hf_subset=subset,
                top_ranked=data["top_ranked"],
            )


def _revision(model: Served) -> str:
    return revision(model.library, model.configuration)


def _settings(choice: Choice, setup: Setup) -> Settings:
    """Pictures have no text layer: only the visual arm sees them, unless the arms or OCR say otherwise."""
    changes = {"arms": list(setup.options.arms or ("visual",)), **setup.settings}
    if choice.benchmark == "v3.1-reranking":
        changes["blend"] = 0.0  # the reranker alone, on the given candidates
    return Settings().changed(changes)


def _models(library: Library, setup: Setup, *, candidates: bool) -> list[Served]:
    """One search model a stage, named by what is in it."""
    settings, options = library.settings, setup.options
    reranked = options.rerank not in {"off", 0} and library.reranker is not None
    models = []
    for stage in configurations(options, options.arms or settings.arms, reranked=reranked):
        parts = [settings.encoder]
        if stage.name == WHOLE:
            parts = [settings.reranker] if candidates else [settings.encoder, settings.reranker]
        elif stage.name != FIRST:
            parts.append(stage.name)
        store = RunStore(setup.results / "runs" / revision(library, stage))
        models.append(Served(library, stage, name=f"recto/{'+'.join(parts)}", store=store, watch=setup.watch))
    return models


def _report(
    library: Library, task: Any, models: Sequence[Served], boxes: Boxes, *, setup: Setup, start: float
) -> Report:
    """Our report of a task over all its languages, beside mteb's result files."""
    everything = asked(task)
    qrels = {q.id: judged for q, judged in everything}
    questions = [q for q, _ in everything]
    for subset in task.hf_subsets:
        models[-1].store.save_qrels(task.metadata.name, subset, data_of(task)[subset]["relevant_docs"])
    rankings = [_joined(model, task) for model in models]
    found = assess(qrels, [q.id for q in questions], rankings, groups=groups(questions, {}))
    placed = models[-1].placed()
    goals, reason = aims(task, placed, boxes) if "visual" in library.settings.arms else ([], "no visual arm")
    pointed = ground(library, goals, tick=setup.watch.asking)
    made = Report(
        title=task.metadata.name,
        provenance=_provenance(library, task, models, boxes, setup=setup, start=start),
        stages=found.stages,
        lifts=found.lifts,
        slices=found.slices,
        costs=_costs(library, placed),
        queries=tuple(q.id for q in questions),
        scores=found.scores,
        grounding=figures(pointed),
        notes=(f"grounding was not measured: {reason}",) if reason else (),
    )
    values = found.scores[made.pipeline.name]["nDCG@10"]
    cases = worst(library, placed, questions=questions, qrels=qrels, run=rankings[-1].run, values=values)
    _write(made, cases, setup.results / "reports" / task.metadata.name)
    return made


def _write(made: Report, cases: Sequence[Case], folder: Path) -> None:
    report.write_text(folder / "report.html", html.page(made, cases))
    report.write_text(folder / "report.md", markdown.whole(made))
    report.save(made, folder / report.REPORT)


def _provenance(
    library: Library, task: Any, models: Sequence[Served], boxes: Boxes, *, setup: Setup, start: float
) -> Provenance:
    made_by = provenance_of(
        library,
        setup.options,
        data=task.metadata.name,
        revision=task.metadata.dataset["revision"],
        spent=(time.monotonic() - start, 0.0),
    )
    options = {
        "models": [_revision(m) for m in models],
        "languages": list(task.hf_subsets),
        "boxes": boxes.revision,
    }
    return replace(made_by, options={**made_by.options, **options})


def _joined(model: Served, task: Any) -> Ranking:
    """The runs of all languages as one."""
    run = {
        named(task, subset, query): pages
        for subset in task.hf_subsets
        for query, pages in model.rankings[subset].run.items()
    }
    times = tuple(ms for subset in task.hf_subsets for ms in model.rankings[subset].ms)
    return Ranking(model.configuration.name, run, times)


def _costs(library: Library, placed: ImageCorpus) -> Costs:
    pages = sum(info.ready_pages for info in library.collections())
    return Costs(
        documents=len(placed.names),
        pages=len(placed.names),
        pages_per_second=None,
        bytes_per_page=size_bytes(library.directory) / max(pages, 1),
    )
