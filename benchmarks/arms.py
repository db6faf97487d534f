"""Every arm alone, fused, and reranked, on folders of questions: the figures behind the model cards.

    .venv/bin/python -m benchmarks.arms FOLDER... [--kept DIR]

Replays recordings through the pipeline that is served, with the default settings, over whole collections and within
the document. Writes `benchmarks/results/arms.json`, from which the documentation takes its table, and into each
`models/*/report.json` the lines that tell of that model.
"""

import argparse
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

import models
from benchmarks.recordings import Wanted, recordings
from domain.run import Run
from evaluation import provenance
from evaluation.measures import measure
from evaluation.recording import NO_RERANKER, Recording, replayed
from evaluation.statistics import Difference, Figure, difference, figure
from library.build import pipeline
from library.options import SearchOptions
from library.settings import Settings

RESULTS = Path(__file__).parent / "results" / "arms.json"
FIRST = (
    ("visual",), ("lexical",), ("text",),
    ("visual", "lexical"), ("visual", "text"), ("lexical", "text"), ("visual", "lexical", "text"),
)  # fmt: skip
MODELS = Path(models.__file__).parent
CARDS = {"encoder": "visual", "text": "text", "reranker": ""}
"""The models that ship, and the arm whose lines belong to each; the reranker has a part in all."""
Values = dict[str, np.ndarray]


def values(recording: Recording, settings: Settings, arms: tuple[str, ...]) -> Values:
    """Measures of every question under these settings with these arms."""
    rerank = "off" if settings.reranker == NO_RERANKER else settings.rerank_depth
    stage = pipeline(replayed(recording, settings), SearchOptions(k=100, rerank=rerank, arms=arms))
    run = {}
    for query in recording.asked.queries:
        hits = stage(Run.ask(query)).answers[0].hits
        run[query.id] = {hit.page: float(len(hits) - place) for place, hit in enumerate(hits)}
    return measure(recording.asked.qrels, run, list(recording.ids))


def rows(name: str, recording: Recording, *, bound: bool) -> list[dict[str, str]]:
    """A line for each choice of arms, without and with the reranker."""
    found = []
    for arms in FIRST:
        plain = values(recording, Settings(reranker=NO_RERANKER), arms)
        read = values(recording, Settings(), arms)
        lift = difference(plain["nDCG@5"], read["nDCG@5"])
        found.append(
            {
                "questions": f"{name}{', within the document' if bound else ''}",
                "arms": " + ".join(arms),
                "recall@100": f"{plain['recall@100'].mean():.3f}",
                "nDCG@5": _said(figure(plain["nDCG@5"])),
                "reranked": _said(figure(read["nDCG@5"])),
                "lift": _lifted(lift),
                "reranked nDCG@10": f"{read['nDCG@10'].mean():.3f}",
            }
        )
        print(found[-1], flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--kept", type=Path, help="folder that keeps the recordings")
    parser.add_argument(
        "--depth", type=int, default=50, help="pages that the reranker reads of each question"
    )
    given = parser.parse_args()
    wanted = Wanted(given.folders, Settings(), given.depth, given.kept)
    found, paces = [], []
    for bound in (False, True):
        for folder, recording in recordings(wanted, bound=bound).items():
            found += rows(Path(folder).resolve().name, recording, bound=bound)
            paces += [ms for read in recording.readings.values() for ms in read.ms_per_pair]
    used = replace(Settings(), arm_weights=dict(Settings().arm_weights))
    report = {
        "rows": found,
        "settings": {
            "weights": used.arm_weights, "blend": used.blend, "depth": used.rerank_depth, "ocr": used.ocr
        },
        "reranker ms a pair, median": round(float(np.median(paces)), 1) if paces else None,
        "commit": provenance.commit(), "created": provenance.now(), "hardware": dict(provenance.hardware()),
    }  # fmt: skip
    RESULTS.write_text(json.dumps(report, indent=1) + "\n")
    for model, arm in CARDS.items():
        _noted(MODELS / model, {**report, "rows": [row for row in found if arm in row["arms"]]})


def _noted(model: Path, served: dict[str, object]) -> None:
    path = model / "report.json"
    kept = json.loads(path.read_text()) if path.exists() else {}
    weights = model / "model.safetensors"
    kept |= {
        "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "bytes": weights.stat().st_size,
        "served": served,
    }
    path.write_text(json.dumps(kept, indent=1) + "\n")


def _said(found: Figure) -> str:
    return f"{found.mean:.3f} {_interval(found)}"


def _lifted(found: Difference) -> str:
    return f"{found.mean.mean:+.3f} {_interval(found.mean)}"


def _interval(found: Figure) -> str:
    return f"[{found.interval.low:.3f}, {found.interval.high:.3f}]" if found.interval else ""


if __name__ == "__main__":
    main()
