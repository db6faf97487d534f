"""Measures a finished encoder and writes its report and model card; no number is typed by hand."""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from domain.model import ModelSettings
from evaluation.measures import measure
from evaluation.statistics import figure
from retrieve.adapters.builtin import BuiltinEncoder, load
from retrieve.builtin.files import CONFIG, WEIGHTS
from training.probe import Probe, open_probe, similarities

Report = dict[str, object]
_WANTED = ("nDCG@5", "recall@10", "recall@100")


def report_encoder(directory: Path, data: Mapping[str, Path]) -> Report:
    """Measure a model directory on directories of questions and write `report.json` there.

    Args:
        directory: holds the model.
        data: directories of questions by the name under which they are reported.
    """
    began = time.perf_counter()
    encoder = load(f"builtin:{directory}", settings=ModelSettings())
    loading = time.perf_counter() - began
    sets: dict[str, object] = {}
    for name, place in data.items():
        began = time.process_time()
        probe = open_probe(encoder, place)
        seconds = (time.process_time() - began) / len(probe.pages)
        sets[name] = _measured(encoder, probe) | {"cpu_seconds_a_page_with_rendering": round(seconds, 3)}
    blob = (directory / WEIGHTS).read_bytes()
    found: Report = {
        "sha256": hashlib.sha256(blob).hexdigest(),
        "bytes": len(blob) + (directory / CONFIG).stat().st_size,
        "loading_s": round(loading, 2),
        "arm": "visual alone, exact MaxSim, pixels only",
        "sets": sets,
    }
    (directory / "report.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return found


def _measured(encoder: BuiltinEncoder, probe: Probe) -> dict[str, object]:
    began = time.perf_counter()
    queries = encoder.queries([question.text for question in probe.questions])
    query_ms = 1000 * (time.perf_counter() - began) / len(queries)
    groups = judged(probe, similarities(probe, queries))
    return {
        "questions": len(queries),
        "pages": len(probe.pages),
        "vectors_a_page": round(sum(len(page.rows) for page in probe.pages) / len(probe.pages)),
        "query_ms": round(query_ms, 2),
        "figures": groups,
    }


def judged(probe: Probe, scores: NDArray[np.float32]) -> dict[str, dict[str, dict[str, float]]]:
    """Means with 95% bootstrap intervals: whole collection, within the document, without a text layer."""
    ids = [question.id for question in probe.questions]
    whole = {key: dict(zip(probe.names, scores[row].tolist(), strict=True)) for row, key in enumerate(ids)}
    within = {
        question.id: {
            name: score
            for name, score in whole[question.id].items()
            if name.rpartition("#")[0] == question.doc
        }
        for question in probe.questions
    }
    unseen = [question.id for question in probe.questions if question.fields.get("gold_text_layer") is False]
    groups = {"collection": (whole, ids), "within the document": (within, ids)}
    if unseen:
        groups |= {
            "no text layer": (whole, unseen),
            "no text layer, within the document": (within, unseen),
        }
    return {name: _means(probe, run, chosen) for name, (run, chosen) in groups.items()}


def _means(
    probe: Probe, run: Mapping[str, Mapping[str, float]], chosen: Sequence[str]
) -> dict[str, dict[str, float]]:
    values = measure(probe.qrels, run, chosen)
    found = {}
    for name in _WANTED:
        mean = figure(values[name])
        found[name] = {"mean": round(mean.mean, 4)}
        if mean.interval:
            found[name] |= {"low": round(mean.interval.low, 4), "high": round(mean.interval.high, 4)}
    return found
