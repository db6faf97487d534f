"""Every arm alone, fused and reranked on a directory of questions: the figures behind models/*/report.json.

    python benchmarks/arms.py DIR --cache FOLDER [--encoder models/encoder] [--reranker models/reranker] [--json FILE]

Exact search over all pages, no library and no index, so that nothing but the models is measured.
"""

import argparse
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pymupdf
from numpy.typing import NDArray

from domain.fusion import standardised
from domain.model import ModelSettings
from evaluation.measures import measure
from evaluation.provenance import commit, hardware
from evaluation.questions import Question, read_qrels, read_questions
from evaluation.statistics import difference, figure
from rerank.adapters.builtin import load as load_reranker
from rerank.reranker import Candidate, PageFeatures
from retrieve.adapters.builtin import load as load_encoder
from retrieve.dense import PageText, spoken
from retrieve.dense import load as load_tower
from retrieve.encoder import Vectors
from retrieve.lexical import LexicalIndex, LexicalPage
from training.probe import pictures

Scores = NDArray[np.float64]
MODELS = Path(__file__).resolve().parent.parent / "models"
FUSIONS = (
    ("visual", "lexical"), ("lexical", "text"), ("visual", "text"), ("visual", "lexical", "text"),
)  # fmt: skip
BLENDS = (0.0, 0.3, 0.5, 0.7)


@dataclass(frozen=True, eq=False)
class Bench:
    """Questions, pages, and what stands on the pages."""

    questions: tuple[Question, ...]
    qrels: dict[str, dict[str, int]]
    names: list[str]
    texts: list[str]
    documents: NDArray[np.str_]


def open_bench(directory: Path) -> Bench:
    """Read questions, judgements and the text layer of every page."""
    questions, _ = read_questions(directory / "queries.jsonl")
    judged, _ = read_qrels(directory / "qrels.tsv")
    qrels: dict[str, dict[str, int]] = {}
    for row in judged:
        qrels.setdefault(row.query, {})[row.corpus_id] = row.score
    names, texts = [], []
    for path in sorted((directory / "pdfs").glob("*.pdf")):
        with pymupdf.open(path) as document:
            for number, page in enumerate(document):
                names.append(f"{path.stem}#{number}")
                texts.append(page.get_text("text"))
    documents = np.array([name.rpartition("#")[0] for name in names])
    return Bench(questions, qrels, names, texts, documents)


def kept(folder: Path, key: str, make: Callable[[], list[Vectors]]) -> list[Vectors]:
    """Rows and boxes of pages, made once."""
    path = folder / f"{key}.npz"
    if not path.is_file():
        made = make()
        boxes = [v.boxes if v.boxes is not None else np.zeros((len(v.rows), 4)) for v in made]
        ends = np.cumsum([len(v.rows) for v in made])
        np.savez(path, rows=np.concatenate([v.rows for v in made]), boxes=np.concatenate(boxes), ends=ends)
    held = np.load(path)
    cuts = held["ends"][:-1]
    parts = zip(np.split(held["rows"], cuts), np.split(held["boxes"], cuts), strict=True)
    return [Vectors(rows, boxes=boxes.astype(np.float32)) for rows, boxes in parts]


def maxsim(queries: Sequence[Vectors], pages: Sequence[Vectors]) -> Scores:
    """Weighted MaxSim of every query with every page; a page without rows stands below all others."""
    scores = np.full((len(queries), len(pages)), -1e3)
    for column, page in enumerate(pages):
        if len(page.rows):
            for row, query in enumerate(queries):
                weights = 1.0 if query.weights is None else query.weights
                scores[row, column] = float(((query.rows @ page.rows.T).max(1) * weights).sum())
    return scores


def lexical(bench: Bench, folder: Path) -> Scores:
    """BM25 with the document's title as a field; a page that shares no word has 0."""
    index = LexicalIndex.open(folder / "lexical", writable=True)
    ids = [f"{name.rpartition('#')[0]}/{int(name.rpartition('#')[2]) + 1:04d}" for name in bench.names]
    if len(index) != len(ids):
        titles = [spoken(str(document)) for document in bench.documents]
        pages = zip(ids, titles, bench.texts, strict=True)
        index.add([LexicalPage(page, title, "", text) for page, title, text in pages])
        index.commit()
    place = {page: number for number, page in enumerate(ids)}
    scores = np.zeros((len(bench.questions), len(ids)))
    for row, question in enumerate(bench.questions):
        for hit in index.search(question.text, k=len(ids)):
            scores[row, place[hit.page]] = hit.score
    index.close()
    return scores


def reciprocal(scores: Scores) -> Scores:
    """One over 60 plus rank."""
    ranks = (-scores).argsort(1, kind="stable").argsort(1, kind="stable") + 1
    return 1.0 / (60.0 + ranks)


def values(bench: Bench, scores: Scores, *, within: bool) -> dict[str, NDArray[np.float64]]:
    """Measures a question; `within` ranks the question's own document only."""
    run = {}
    for row, question in enumerate(bench.questions):
        places = np.flatnonzero(bench.documents == question.doc) if within else np.arange(len(bench.names))
        best = places[np.argsort(-scores[row, places], kind="stable")[:100]]
        run[question.id] = {bench.names[at]: float(len(best) - rank) for rank, at in enumerate(best)}
    return measure(bench.qrels, run, [question.id for question in bench.questions])


def reranked(first: Scores, logits: Scores, *, depth: int, blend: float, places: NDArray[np.int64]) -> Scores:
    """One question: the top of these places by a blend of both scores, above everything else."""
    order = places[np.argsort(-first[places], kind="stable")]
    top = order[:depth]
    mixed = [
        blend * a + (1 - blend) * b
        for a, b in zip(standardised(first[top].tolist()), standardised(logits[top].tolist()), strict=True)
    ]
    result = np.full(len(first), -1e9)
    result[order] = -1e6 - np.arange(len(order))
    result[top] = mixed
    return result


def summary(bench: Bench, scores: Scores) -> dict[str, object]:
    """nDCG@5 with its interval and recall@100, over the collection and within the document."""
    whole, own = values(bench, scores, within=False), values(bench, scores, within=True)
    found = {}
    for name, column in (("collection", whole), ("within", own)):
        one = figure(column["nDCG@5"])
        low, high = (one.interval.low, one.interval.high) if one.interval else (one.mean, one.mean)
        found[name] = {"nDCG@5": round(one.mean, 4), "interval": [round(low, 4), round(high, 4)]}
    found["collection"]["recall@100"] = round(float(whole["recall@100"].mean()), 4)
    return found


def read_logits(
    bench: Bench, first: Scores, views: list[Vectors] | None, model: Path, depth: int
) -> tuple[Scores, float]:
    """The reranker's logits of each question's top pages, in the collection and in its document; ms a pair."""
    reranker = load_reranker(directory=model)
    logits = np.full(first.shape, np.nan)
    pairs, spent = 0, 0.0
    for row, question in enumerate(bench.questions):
        own = np.flatnonzero(bench.documents == question.doc)
        top = {*np.argsort(-first[row], kind="stable")[:depth].tolist()}
        top |= {*own[np.argsort(-first[row, own], kind="stable")[:depth]].tolist()}
        chosen = sorted(top)
        started = time.perf_counter()
        logits[row, chosen] = reranker.scores(question.text, [_candidate(bench, views, at) for at in chosen])
        spent += time.perf_counter() - started
        pairs += len(chosen)
    return logits, spent / pairs * 1e3


def _candidate(bench: Bench, views: list[Vectors] | None, at: int) -> Candidate:
    def features() -> PageFeatures | None:
        if views is None or views[at].boxes is None:
            return None
        return PageFeatures(views[at].rows, views[at].boxes)

    def image() -> None:
        raise LookupError(f"{bench.names[at]} was not rendered for the benchmark")

    return Candidate(bench.names[at], image, lambda: bench.texts[at], features)


def arms_of(bench: Bench, arguments: argparse.Namespace) -> tuple[dict[str, Scores], list[Vectors] | None]:
    """The scores of each arm, and the pages as the encoder sees them."""
    folder: Path = arguments.cache
    texts = [question.text for question in bench.questions]
    tower = load_tower(MODELS / "text")
    pages = [PageText(str(d), t) for d, t in zip(bench.documents, bench.texts, strict=True)]
    rows = kept(folder, f"text_{tower.fingerprint.digest}", lambda: tower.passages(pages))
    found = {"lexical": lexical(bench, folder), "text": maxsim(tower.queries(texts), rows)}
    if not (arguments.encoder / "config.json").is_file():
        return found, None
    encoder = load_encoder(f"builtin:{arguments.encoder}", settings=ModelSettings())
    views = kept(
        folder,
        f"seen_{encoder.fingerprint.digest}",
        lambda: [encoder.pages([image])[0] for _, image in pictures(arguments.directory)],
    )
    return {"visual": maxsim(encoder.queries(texts), views), **found}, views


def main() -> None:
    """Measure, print, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--encoder", type=Path, default=MODELS / "encoder")
    parser.add_argument("--reranker", type=Path, default=MODELS / "reranker")
    parser.add_argument("--depth", type=int, default=20)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    arguments.cache.mkdir(parents=True, exist_ok=True)
    bench = open_bench(arguments.directory)
    arms, views = arms_of(bench, arguments)
    fused = {
        "+".join(names): sum(reciprocal(arms[name]) for name in names)
        for names in FUSIONS
        if all(name in arms for name in names)
    }
    report: dict[str, object] = {
        "questions": len(bench.questions), "pages": len(bench.names), "depth": arguments.depth,
        "data": hashlib.sha256((arguments.directory / "qrels.tsv").read_bytes()).hexdigest()[:16],
        "commit": commit(), "hardware": hardware(),
        "arms": {name: summary(bench, scores) for name, scores in {**arms, **fused}.items()},
    }  # fmt: skip
    if (arguments.reranker / "config.json").is_file():
        report["reranked"] = {
            name: rerank_report(bench, scores, views, arguments) for name, scores in fused.items()
        }
    text = json.dumps(report, indent=1)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n")


def rerank_report(
    bench: Bench, first: Scores, views: list[Vectors] | None, arguments: argparse.Namespace
) -> dict[str, object]:
    """What reranking adds to one fusion, by blend, with the paired difference."""
    logits, ms = read_logits(bench, first, views, arguments.reranker, arguments.depth)
    found: dict[str, object] = {"ms_a_pair": round(ms, 2)}
    for within in (False, True):
        before = values(bench, first, within=within)["nDCG@5"]
        for blend in BLENDS:
            after = np.stack(
                [
                    reranked(
                        first[row],
                        logits[row],
                        depth=arguments.depth,
                        blend=blend,
                        places=_places(bench, q, within=within),
                    )
                    for row, q in enumerate(bench.questions)
                ]
            )
            lift = difference(before, values(bench, after, within=within)["nDCG@5"])
            interval = lift.mean.interval
            found[f"{'within' if within else 'collection'}, blend {blend}"] = {
                "nDCG@5": round(float(before.mean() + lift.mean.mean), 4),
                "lift": round(lift.mean.mean, 4),
                "interval": [round(interval.low, 4), round(interval.high, 4)] if interval else None,
                "p": round(lift.p_value, 4), "helped": lift.helped, "hurt": lift.hurt,
            }  # fmt: skip
    return found


def _places(bench: Bench, question: Question, *, within: bool) -> NDArray[np.int64]:
    return np.flatnonzero(bench.documents == question.doc) if within else np.arange(len(bench.names))


if __name__ == "__main__":
    main()
