"""What `recto evaluate` does, without a terminal: from options to files and an exit code."""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import platformdirs

from domain.errors import UsageError
from evaluation import html, markdown, report
from evaluation.compare import Comparison, check, compare, regressions
from evaluation.folder import Files, read_files, read_folder
from evaluation.folder import check as check_files
from evaluation.pages import Outcome, Plan, evaluate_collection, evaluate_folder
from evaluation.report import Report
from evaluation.suite import distinct, joined, revision, title
from evaluation.trec import write_run
from library.library import Library
from library.settings import Settings, default_directory

DONE: Final = 0
FAILED: Final = 1
PARTLY: Final = 3


@dataclass(frozen=True, slots=True)
class Source:
    """Where questions and documents are: a folder, or a collection and its questions."""

    directory: Path | None = None
    collection: str | None = None
    queries: Path | None = None
    qrels: Path | None = None
    library: Path | None = None


@dataclass(frozen=True, slots=True)
class Outputs:
    """What to write, and what to compare with."""

    run: Path | None = None
    report: Path | None = None
    baseline: Path | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """How an evaluation ended; `parts` are those of each benchmark where there were several."""

    outcome: Outcome
    regressed: tuple[Comparison, ...]
    code: int
    parts: tuple["Verdict", ...] = ()


def pages(
    source: Source, plan: Plan, outputs: Outputs, *, settings: Mapping[str, Any | None] | None = None
) -> Verdict:
    """Evaluate one's own questions and write what was asked for.

    Args:
        source: a folder, or a collection with its questions.
        plan: how to evaluate.
        outputs: files to write; the baseline is read and checked before anything runs.
        settings: settings of the library that differ from its own or the defaults; None leaves one as it is.

    Raises:
        UsageError: the files are wrong, or the baseline is of other data.
    """
    files = _files(source)
    baseline = _baseline(outputs.baseline, _data(files, plan), files.revision)
    outcome = _outcome(source, files, plan, settings or {})
    write(outcome, outputs)
    return _verdict(outcome, baseline)


def suite(
    sources: Sequence[Source],
    plan: Plan,
    outputs: Outputs,
    *,
    settings: Mapping[str, Any | None] | None = None,
) -> Verdict:
    """Evaluate several folders with one configuration, and all their questions together.

    The report of each lies in a folder of its name within that of the whole, as soon as it is done.

    Args:
        sources: folders of one's own questions, of different names; all are checked before anything runs.
        plan: how to evaluate.
        outputs: of the whole; the baseline is a report over the same folders in the same order.
        settings: settings that differ, as for `pages`.

    Raises:
        UsageError: the files are wrong, or the baseline is of other data.
    """
    start = time.monotonic()
    everything = [_files(source) for source in sources]
    distinct(everything)
    for files in everything:
        check_files(files, bound=plan.bound, allow_missing=plan.allow_missing)
    data = title([_data(files, plan) for files in everything])
    baseline = _baseline(outputs.baseline, data, revision([files.revision for files in everything]))
    outcomes = []
    for source, files in zip(sources, everything, strict=True):
        outcomes.append(_outcome(source, files, plan, settings or {}))
        write(outcomes[-1], Outputs(report=outputs.report / files.name if outputs.report else None))
    whole = joined(outcomes, seconds=time.monotonic() - start)
    write(whole, outputs)
    return replace(_verdict(whole, baseline), parts=tuple(_verdict(one, None) for one in outcomes))


def _outcome(source: Source, files: Files, plan: Plan, settings: Mapping[str, Any | None]) -> Outcome:
    changes = {name: value for name, value in settings.items() if value is not None}
    with _opened(source, files, changes) as library:
        if source.collection is None:
            return evaluate_folder(library, files, plan)
        return evaluate_collection(library, source.collection, files, plan)


def _verdict(outcome: Outcome, baseline: Report | None) -> Verdict:
    regressed = regressions(baseline, outcome.report) if baseline else ()
    return Verdict(outcome, regressed, FAILED if regressed else PARTLY if outcome.partial else DONE)


def write(outcome: Outcome, outputs: Outputs) -> None:
    """Write the run of the whole pipeline, and the report with the runs of its stages beside it."""
    if outputs.run:
        write_run(outputs.run, outcome.rankings[-1].run, tag="recto")
    if outputs.report:
        for ranking in outcome.rankings:
            name = ranking.name.replace(" ", "-")
            write_run(outputs.report / f"{name}.trec", ranking.run, tag=f"recto-{name}")
        report.write_text(outputs.report / "report.html", html.page(outcome.report, outcome.cases))
        report.write_text(outputs.report / "report.md", markdown.whole(outcome.report))
        report.save(outcome.report, outputs.report / report.REPORT)


def compared(first: Path, second: Path) -> tuple[Comparison, ...]:
    """Compare two reports, given as files or folders.

    Raises:
        UsageError: one cannot be read, or they are on different data.
    """
    return compare(report.load(first), report.load(second))


def summary(verdict: Verdict, outputs: Outputs) -> dict[str, Any]:
    """The outcome for machines: `--json`."""
    found = verdict.outcome.report
    return {
        "benchmark": found.title,
        "questions": len(found.queries),
        "metrics": {name: figure.mean for name, figure in found.pipeline.figures.items()},
        "stages": [
            {
                "name": stage.name,
                "metrics": {name: figure.mean for name, figure in stage.figures.items()},
                "p50_ms": stage.latency_ms.p50 if stage.latency_ms else None,
                "p95_ms": stage.latency_ms.p95 if stage.latency_ms else None,
            }
            for stage in found.stages
        ],
        "grounding": {"pointing": found.grounding.pointing.mean, "overlap": found.grounding.overlap.mean}
        if found.grounding
        else None,
        "left_out": dict(found.left_out),
        "failed": [
            {"path": f.path, "page": f.page, "code": f.failure.code, "message": f.failure.message}
            for f in verdict.outcome.failed
        ],
        "regressions": [
            {"measure": c.measure, "baseline": c.first, "now": c.second, "p": c.change.p_value}
            for c in verdict.regressed
        ],
        "run": str(outputs.run) if outputs.run else None,
        "report": str(outputs.report) if outputs.report else None,
        "seconds": round(found.provenance.seconds, 3),
        **({"parts": [summary(part, Outputs()) for part in verdict.parts]} if verdict.parts else {}),
    }


def as_json(found: Comparison) -> dict[str, Any]:
    """One measure of `recto evaluate compare --json`."""
    interval = found.change.mean.interval
    return {
        "measure": found.measure,
        "first": found.first,
        "second": found.second,
        "change": found.change.mean.mean,
        "interval": [interval.low, interval.high] if interval else None,
        "p": found.change.p_value,
        "helped": found.change.helped,
        "hurt": found.change.hurt,
        "same": found.change.same,
    }


def cache_directory(files: Files, settings: Settings) -> Path:
    """Where a folder's PDFs are kept indexed, so that a second run embeds nothing.

    Named by the PDFs' content and by the settings that change pages or vectors; the library itself refuses
    vectors of another fingerprint.
    """
    key = hashlib.sha256(settings_key(settings).encode())
    for digest in sorted(set(files.hashes.values())):
        key.update(digest.encode())
    root = Path(platformdirs.user_cache_dir("recto", appauthor=False))
    return root / "evaluation" / f"{files.name}-{key.hexdigest()[:16]}"


def settings_key(settings: Settings) -> str:
    """Sixteen hex digits of the settings that change pages or vectors."""
    made_by = (
        settings.encoder,
        sorted(settings.encoder_options.items()),
        settings.dpi,
        settings.max_pixels,
        settings.max_visual_tokens,
        settings.dtype,
        settings.ocr,
    )
    return hashlib.sha256(repr(made_by).encode()).hexdigest()[:16]


def _files(source: Source) -> Files:
    if source.directory is not None and source.collection is None and source.queries is None:
        return read_folder(source.directory)
    if source.collection is not None and source.queries is not None and source.directory is None:
        return read_files(source.queries, source.qrels)
    raise UsageError("give either a folder of one's own questions, or both --collection and --queries")


def _data(files: Files, plan: Plan) -> str:
    return f"{files.name}/within-document" if plan.bound else files.name


def _baseline(path: Path | None, data: str, revision: str) -> Report | None:
    if path is None:
        return None
    baseline = report.load(path)
    check(baseline.provenance, data, revision)
    return baseline


def _opened(source: Source, files: Files, changes: Mapping[str, Any]) -> Library:
    """Open the library that was named, else the stored one of a collection or a folder's own in the cache.

    The cache keeps vectors, not choices: what `recto tune` set there while it recorded decides nothing here.
    """
    stored = source.library or (default_directory() if source.collection is not None else None)
    settings = Settings.load(stored).changed(changes)
    return Library.open(stored or cache_directory(files, settings), settings)
