"""A small report computed from rankings made by hand."""

import pytest
from PIL import ImageStat

from domain.fingerprint import Fingerprint
from evaluation.assess import assess
from evaluation.questions import Question
from evaluation.rank import Ranking
from evaluation.report import Costs, Grounding, Provenance, Report
from evaluation.slices import groups
from evaluation.statistics import Figure, Interval

PAGES = [f"a#{i}" for i in range(6)]


def ranking(name, first):
    """Query i has its relevant page a#0 at rank first[i] (0: not found)."""
    run = {}
    for number, rank in enumerate(first):
        others = PAGES[1:]
        order = [*others[: rank - 1], PAGES[0], *others[rank - 1 :]] if rank else others
        run[f"q{number}"] = {page: float(-place) for place, page in enumerate(order)}
    return Ranking(name, run, tuple(10.0 * (i + 1) for i in range(len(first))))


@pytest.fixture
def build():
    def build(second=(1, 1, 1, 2, 1, 0, 1, 3), first=(2, 2, 3, 1, 1, 0, 4, 3), revision="r1", title="tiny"):
        ids = [f"q{i}" for i in range(len(first))]
        kinds = ["chart", "table"]
        questions = [
            Question(q, f"Where is <b>{q}</b>?", "a", {"kind": kinds[i % 2]}) for i, q in enumerate(ids)
        ]
        rankings = (ranking("visual", first), ranking("first stage", first), ranking("pipeline", second))
        qrels = {q: {"a#0": 1} for q in ids}
        found = assess(qrels, ids, rankings, groups=groups(questions, {}))
        report = Report(
            title=title,
            provenance=Provenance(
                commit="0123456789ab",
                version="0.1.0",
                encoder={"model": "colour", "digest": "d1"},
                reranker={"model": "none", "digest": "d2"},
                data="tiny",
                revision=revision,
                hardware={"cpu": "a | b", "gpu": "none"},
                created="2026-01-01T00:00:00+00:00",
                seconds=3.5,
                index_seconds=1.5,
                settings={"encoder": "colour", "arms": ["visual"]},
                options={"k": 100},
            ),
            stages=found.stages,
            lifts=found.lifts,
            slices=found.slices,
            costs=Costs(documents=1, pages=6, pages_per_second=4.0, bytes_per_page=1234.5),
            queries=tuple(ids),
            scores=found.scores,
            grounding=Grounding(4, 1, Figure(0.5, Interval(0.0, 1.0)), Figure(0.25, None), 0.1),
            left_out={"unknown_page": 2},
        )
        return report, rankings, questions, qrels

    return build


class Contrary:
    """A reranker that likes pages the less, the redder they are, whatever was asked."""

    name = "contrary"
    fingerprint = Fingerprint(model="contrary")

    def scores(self, query, candidates):
        means = [ImageStat.Stat(candidate.image().convert("RGB")).mean for candidate in candidates]
        return [green + blue - red for red, green, blue in means]


@pytest.fixture
def contrary(monkeypatch):
    """Settings under which every library has that reranker."""
    monkeypatch.setattr("library.models.load_reranker", lambda *_, **__: Contrary())
    return {"reranker": "contrary"}
