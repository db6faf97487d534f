"""What the harness costs besides the models: 100,000 pages, 2,000 questions, 100 ranked pages each, two stages.

Run with `python -m benchmarks.evaluation`; writes benchmarks/results/evaluation.json.
"""

import json
import os
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from domain.page import Hit, Query, page_id
from domain.run import Answer, Run
from evaluation import html, markdown, provenance, report
from evaluation.assess import assess
from evaluation.corpus import Corpus
from evaluation.questions import Question
from evaluation.rank import FIRST, WHOLE, Configuration, rank
from evaluation.report import Costs, Provenance, Report
from evaluation.slices import groups
from evaluation.trec import read_run, write_run
from library.options import SearchOptions

DOCUMENTS, PAGES_EACH, QUERIES, DEPTH = 1_000, 100, 2_000, 100
OUT = Path(__file__).parent / "results" / "evaluation.json"


class Drawn:
    """Answers each query with pages drawn at random, the relevant one somewhere among them."""

    def __init__(self, seed: int) -> None:
        """Draw from `seed`."""
        self._rng = np.random.default_rng(seed)

    def run(self, queries: tuple[Query, ...], options: SearchOptions) -> Run:
        """Pages with falling scores."""
        answers = []
        for query in queries:
            drawn = self._rng.choice(DOCUMENTS * PAGES_EACH, size=options.k, replace=False)
            hits = tuple(Hit(_page(int(n)), 1.0 / (rank + 1)) for rank, n in enumerate(drawn))
            answers.append(Answer(query, _with_gold(hits, query, int(self._rng.integers(0, 60)))))
        return Run(tuple(answers))


def _with_gold(hits: tuple[Hit, ...], query: Query, place: int) -> tuple[Hit, ...]:
    gold = _page(int(query.id[1:]))
    others = [hit.page for hit in hits if hit.page != gold]
    pages = [*others[:place], gold, *others[place:]][: len(hits)]
    return tuple(Hit(page, hit.score) for page, hit in zip(pages, hits, strict=True))


def _page(number: int) -> str:
    return page_id(f"d{number // PAGES_EACH}", number % PAGES_EACH + 1)


@dataclass
class Spent:
    """Seconds on the wall and on the processor."""

    wall: float = 0.0
    cpu: float = 0.0


Parts = dict[str, Spent]


def measure() -> Parts:
    """What each part of an evaluation takes."""
    spent: Parts = {}
    corpus = Corpus.of({f"document-{n}": f"d{n}" for n in range(DOCUMENTS)})
    queries = [Query(f"q{n}", f"question {n}") for n in range(QUERIES)]
    questions = [
        Question(q.id, q.text, fields={"kind": f"kind {n % 8}", "doc": f"document-{n % 50}"})
        for n, q in enumerate(queries)
    ]
    qrels = {q.id: {corpus.corpus_id(_page(n)): 1} for n, q in enumerate(queries)}
    ids = [q.id for q in queries]
    rankings = []
    for seed, name in enumerate((FIRST, WHOLE)):
        stage = Configuration(name, SearchOptions(k=DEPTH))
        with timed(spent, "drawing and naming"):
            rankings.append(rank(Drawn(seed), queries, corpus, configuration=stage))
    with timed(spent, "figures, intervals, tests and slices"):
        found = assess(qrels, ids, rankings, groups=groups(questions, {}))
    made = Report(
        title="synthetic",
        provenance=_made_by(),
        stages=found.stages,
        lifts=found.lifts,
        slices=found.slices,
        costs=Costs(DOCUMENTS, DOCUMENTS * PAGES_EACH, None, 0.0),
        queries=tuple(ids),
        scores=found.scores,
    )
    with tempfile.TemporaryDirectory() as folder:
        with timed(spent, "reports"):
            report.save(made, Path(folder) / "report.json")
            report.write_text(Path(folder) / "report.md", markdown.whole(made))
            report.write_text(Path(folder) / "report.html", html.page(made))
        with timed(spent, "TREC runs, written and read"):
            for ranking in rankings:
                write_run(Path(folder) / "run.trec", ranking.run, tag="synthetic")
                read_run(Path(folder) / "run.trec")
    return spent


def _made_by() -> Provenance:
    return Provenance(
        commit=provenance.commit(),
        version=provenance.version(),
        encoder={"model": "none", "digest": ""},
        reranker=None,
        data="synthetic",
        revision="1",
        hardware=provenance.hardware(),
        created=provenance.now(),
        seconds=0.0,
        index_seconds=0.0,
        settings={},
        options={},
    )


@contextmanager
def timed(spent: Parts, name: str) -> Iterator[None]:
    """Add the seconds that the block takes."""
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    part = spent.setdefault(name, Spent())
    part.wall += time.perf_counter() - wall
    part.cpu += time.process_time() - cpu


def main() -> None:
    """Measure, print and keep."""
    spent = measure()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    value = {
        "what": "evaluation besides the models",
        "pages": DOCUMENTS * PAGES_EACH,
        "queries": QUERIES,
        "depth": DEPTH,
        "stages": 2,
        "rows": [
            {"part": name, "seconds": round(s.wall, 2), "cpu_seconds": round(s.cpu, 2)}
            for name, s in spent.items()
        ],
        "seconds": round(sum(s.wall for s in spent.values()), 2),
        "cpu_seconds": round(sum(s.cpu for s in spent.values()), 2),
        "load_average": round(os.getloadavg()[0], 1),
        "peak_mib": round(peak),
        "commit": provenance.commit(),
        "created": provenance.now(),
        "hardware": dict(provenance.hardware()),
    }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(value, indent=1) + "\n")
    print(json.dumps(value, indent=1))


if __name__ == "__main__":
    main()
