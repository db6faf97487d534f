"""What arms, fusion, reranking depth, blend and margin give on labelled questions, and how late answers are.

    .venv/bin/python -m benchmarks.rerank FOLDER... [--kept DIR]

Writes `benchmarks/results/rerank.json` and puts its tables into `docs/reranking.md`. A recording keeps what
arms and reranker said, so that a second call sweeps without asking them again.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from benchmarks.recordings import Wanted, recordings
from domain.errors import UsageError
from domain.run import Run
from evaluation import calibrate as calibrating
from evaluation import provenance, tune_report
from evaluation.calibrate import Calibrated, calibrate
from evaluation.folder import read_folder
from evaluation.measures import measure
from evaluation.recording import Recording, joined, replayed
from evaluation.statistics import difference
from evaluation.tune import Tuning, settings_of, tune
from evaluation.verbs import cache_directory
from library.build import pipeline
from library.library import Library
from library.options import SearchOptions
from library.settings import Settings

RESULTS = Path(__file__).parent / "results" / "rerank.json"
DOCS = Path(__file__).parent.parent / "docs" / "reranking.md"
START, END = "<!-- figures: benchmarks/results/rerank.json -->", "<!-- end of figures -->"
MARGINS = (0.7, 0.5, 0.4, 0.3, 0.2, 0.1)
BUDGETS_MS = (50.0, 100.0, 200.0, 400.0, 800.0)


def main() -> None:
    given = _arguments()
    if given.docs or given.check:
        text = filled(DOCS.read_text(), json.loads(RESULTS.read_text()))
        if given.check and text != DOCS.read_text():
            sys.exit(f"{DOCS.name} differs from {RESULTS.name}: run `python -m benchmarks.rerank --docs`")
        DOCS.write_text(text)
        return
    if not given.folders:
        print("give folders with pdfs/, queries.jsonl and qrels.tsv; nothing to measure without them")
        return
    started = time.time()
    settings = Settings().changed({"reranker": given.reranker})
    wanted = Wanted(given.folders, settings, given.depth, given.kept)
    found: dict[str, Any] = {"data": [folder.name for folder in given.folders]}
    for bound in (False, True):
        recording = joined(recordings(wanted, bound=bound))
        tuning = tune(recording, settings)
        print(tune_report.markdown(tuning), flush=True)
        name = "within the document" if bound else "whole collection"
        found[name] = json.loads(tune_report.as_json(tuning))
        if not bound and recording.readings:
            chosen = replace(settings_of(tuning.recommended, settings), reranker=given.reranker)
            found["calibration"] = _calibration(recording, chosen)
            found["margins"] = margins(recording, settings)
    if given.reranker != "none":
        found["deadline"] = deadline(given.folders[0], settings)
    found["reranker"] = given.reranker
    found["provenance"] = {
        "commit": provenance.commit(),
        "created": provenance.now(),
        "hardware": dict(provenance.hardware()),
        "seconds": round(time.time() - started),
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    DOCS.write_text(filled(DOCS.read_text(), found))


def margins(recording: Recording, settings: Settings) -> list[dict[str, str]]:
    """What leaving the reranker out saves and costs where the first page leads by at least so much."""
    every = _answered(recording, settings)
    rows = []
    for margin in MARGINS:
        some = _answered(recording, replace(settings, skip_margin=margin))
        skipped = sum(answer.depth == 0 for answer in some.answers) / len(some.answers)
        change = difference(_ndcg(recording, every), _ndcg(recording, some)).mean
        within = f" [{change.interval.low:+.4f}, {change.interval.high:+.4f}]" if change.interval else ""
        rows.append(
            {"margin": f"{margin:g}", "skipped": f"{skipped:.0%}", "change": f"{change.mean:+.4f}{within}"}
        )
    return rows


def _answered(recording: Recording, settings: Settings) -> Run:
    stage = pipeline(replayed(recording, settings), SearchOptions(k=100))
    return Run(tuple(stage(Run.ask(query)).answers[0] for query in recording.asked.queries))


def _ndcg(recording: Recording, run: Run) -> NDArray[np.float64]:
    scores = {
        answer.query.id: {hit.page: float(-place) for place, hit in enumerate(answer.hits)}
        for answer in run.answers
    }
    return measure(recording.asked.qrels, scores, list(recording.ids))["nDCG@10"]


def deadline(folder: Path, settings: Settings) -> list[dict[str, float]]:
    """How late answers are under several budgets: milliseconds beyond the budget, and pages reranked."""
    files = read_folder(folder)
    questions = [question.text for question in files.questions]
    rows = []
    with Library.open(cache_directory(files, settings), settings) as library:
        for question in questions[:10]:
            library.search(question, SearchOptions(budget_ms=1000.0))  # learns what a pair costs
        for budget_ms in BUDGETS_MS:
            late, depths = [], []
            for question in questions:
                result = library.search(question, SearchOptions(budget_ms=budget_ms))
                late.append(max(0.0, result.timings_ms["total"] - budget_ms))
                depths.append(result.reranked)
            p50, p95, p99 = (float(x) for x in np.percentile(late, [50, 95, 99]))
            depth = float(np.median(depths))
            rows.append({"budget_ms": budget_ms, "p50": p50, "p95": p95, "p99": p99, "depth": depth})
            print(rows[-1], flush=True)
    return rows


def tables(found: dict[str, Any]) -> str:
    """The figures as Markdown."""
    parts = []
    for name in ("whole collection", "within the document"):
        tuning: Tuning = tune_report.from_json(json.dumps(found[name]))
        parts.append(f"### {', '.join(found['data'])}: {name}\n\n{tune_report.markdown(tuning)}")
    if "calibration" in found:
        read: Calibrated = TypeAdapter(Calibrated).validate_python(found["calibration"])
        parts.append(f"### Calibration\n\n{calibrating.markdown(read)}")
    if "margins" in found:
        lines = [
            "| skipped where the first page leads by | questions | change of nDCG@10 |",
            "|---:|---:|---:|",
        ]
        lines += [f"| {row['margin']} | {row['skipped']} | {row['change']} |" for row in found["margins"]]
        parts.append("### Leaving the reranker out\n\n" + "\n".join(lines))
    if "deadline" in found:
        rows = [
            "| budget ms | p50 ms late | p95 | p99 | pages reranked (median) |",
            "|---:|---:|---:|---:|---:|",
        ]
        rows += [
            f"| {row['budget_ms']:g} | {row['p50']:.1f} | {row['p95']:.1f} | {row['p99']:.1f} | {row['depth']:g} |"
            for row in found["deadline"]
        ]
        parts.append("### How late answers are\n\n" + "\n".join(rows))
    made = found["provenance"]
    parts.append(
        f"Measured at `{made['commit']}` on {made['hardware']['cpu']}, {made['hardware']['cores']} cores, "
        f"in {made['seconds']} s, {made['created']}."
    )
    return "\n\n".join(parts)


def filled(text: str, found: dict[str, Any]) -> str:
    """The document with the figures between its marks."""
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n\n{tables(found)}\n\n{END}{after}"


def _calibration(recording: Recording, settings: Settings) -> dict[str, Any] | None:
    try:
        return json.loads(calibrating.as_json(calibrate(recording, settings, depth=settings.rerank_depth)))
    except UsageError as error:
        print(error)
        return None


def _arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--kept", type=Path, help="folder that keeps the recordings")
    parser.add_argument("--reranker", default="builtin")
    parser.add_argument(
        "--depth", type=int, default=50, help="pages that the reranker reads of each question"
    )
    parser.add_argument("--docs", action="store_true", help="only put the stored figures into the document")
    parser.add_argument("--check", action="store_true", help="fail where document and figures differ")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
