"""The one function that builds the pipeline, with arms and rerankers made by hand."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from domain.documents import Extent
from domain.errors import UsageError
from domain.fingerprint import Fingerprint
from domain.page import Hit, Query
from domain.run import Answer, Run, marked
from library.build import NAMING, Parts, pipeline
from library.options import SearchOptions
from library.settings import Settings
from rerank.budget import CostModel
from rerank.calibration import Calibration
from rerank.reranker import Candidate

PAGES = [f"{doc}/{number:04d}" for number in (1, 2, 3) for doc in "ab"]
SETTINGS = Settings(arms=("visual",), reranker="small", rerank_depth=6, blend=0.0)


class Arm:
    def stage(self, k):
        hits = marked(tuple(Hit(page, 10.0 - at) for at, page in enumerate(PAGES)), "visual")
        return lambda run: Run(tuple(Answer(a.query, hits[:k]) for a in run.answers))


class Reader:
    """Scores the first page it is given lowest, the last highest."""

    def __init__(self, name):
        self.name, self.fingerprint, self.read = name, Fingerprint(name), []

    def scores(self, query, candidates):
        start = len(self.read)
        self.read += [candidate.page for candidate in candidates]
        return [float(start + at) for at in range(len(candidates))]


def parts(settings=SETTINGS, **more) -> Parts:
    small = Reader("small")
    return Parts(
        settings=settings,
        arms={"visual": Arm()},
        reranker=lambda: small,
        load=lambda page: Candidate(page, lambda: Image.new("RGB", (1, 1)), lambda: "", lambda: None),
        similarities=lambda pages: np.eye(len(pages), dtype=np.float32),
        calibration=None,
        cost=CostModel(),
        **more,
    )


def ask(built: Parts, text: str = "words", **options) -> Answer:
    return pipeline(built, SearchOptions(**options))(Run.ask(Query("q", text))).answers[0]


def order(answer: Answer) -> list[str]:
    return [hit.page for hit in answer.hits]


def test_the_reranker_reads_as_deep_as_the_settings_say_and_no_deeper_under_a_large_budget() -> None:
    shallow = replace(SETTINGS, rerank_depth=3)
    assert ask(parts(shallow)).depth == 3
    assert ask(parts(shallow), budget_ms=60_000.0).depth == 3
    assert ask(parts(shallow), rerank=5).depth == 5
    assert ask(parts(shallow), rerank="off").depth == 0


def test_a_final_reranker_reads_the_top_few_of_what_the_first_one_left() -> None:
    final = Reader("large")
    settings = replace(SETTINGS, final_reranker="large", final_depth=2)
    answer = ask(parts(settings, final_reranker=lambda: final))
    assert final.read == PAGES[::-1][:2]
    assert order(answer) == [PAGES[4], PAGES[5], *PAGES[3::-1]]
    assert [mark.stage for mark in answer.hits[0].trace] == ["visual", "first", "rerank", "rerank 2"]
    assert [mark.stage for mark in answer.hits[2].trace] == ["visual", "first", "rerank"]


def test_a_reranked_page_tells_where_the_first_stage_had_it() -> None:
    answer = ask(parts())
    before = {hit.page: mark.rank for hit in answer.hits for mark in hit.trace if mark.stage == "first"}
    assert before == {page: rank for rank, page in enumerate(order(ask(parts(), rerank="off")), start=1)}
    assert [before[page] for page in order(answer)] == [6, 5, 4, 3, 2, 1]
    assert all(mark.stage != "first" for hit in ask(parts(), rerank="off").hits for mark in hit.trace)


def test_a_calibration_counts_for_its_own_reranker_among_two() -> None:
    final = Reader("large")
    settings = replace(SETTINGS, final_reranker="large", final_depth=2)
    calibration = Calibration(final.fingerprint.digest, "large", "temperature", (1.0,), 0.0, 0.0, 60)
    answer = ask(replace(parts(settings, final_reranker=lambda: final), calibration=calibration))
    assert [hit.probability is not None for hit in answer.hits] == [True, True, False, False, False, False]
    assert answer.notes == ()


def test_a_calibration_of_another_reranker_is_said_aloud() -> None:
    calibration = Calibration("other", "old", "temperature", (1.0,), 0.0, 0.0, 60)
    answer = ask(replace(parts(), calibration=calibration))
    assert all(hit.probability is None for hit in answer.hits)
    assert "run `recto calibrate` again" in answer.notes[0]


def test_boosts_lift_documents_by_their_fields() -> None:
    fields = {"a": {"year": "2022"}, "b": {"year": "2023"}}
    settings = replace(SETTINGS, reranker="none", boosts={"year:2023": 0.3, "kind:report": 9.0})
    built = parts(settings, fields=lambda page: fields[page[0]])
    answer = ask(built, rerank="off")
    assert order(answer) == ["b/0001", "a/0001", "b/0002", "a/0002", "b/0003", "a/0003"]
    assert answer.hits[0].trace[-1].stage == "boost"


def test_costs_are_learned_apart_by_the_size_of_pages() -> None:
    built = parts(size_of=lambda page: "large" if page.startswith("b") else "small")
    ask(built, budget_ms=60_000.0)
    assert {key.split()[-1] for key in json.loads(built.cost.to_json())} == {"small", "large"}


def test_naming_the_pages_is_taken_off_the_budget() -> None:
    built = parts()
    built.cost.observe(NAMING, "any", pairs=1, elapsed_ms=6_000.0)
    assert ask(built, budget_ms=65_000.0, k=10).depth == 6
    assert ask(built, budget_ms=59_000.0, k=10).depth == 0


@pytest.mark.parametrize(
    "table",
    [
        {"boosts": {"year:2023": 0.5}},
        {"arm_weights": {"visual": 0.5}},
        {"vocabulary": {"TTM": ["time to market", "launch"], "FX": []}},
    ],
)
def test_tables_in_the_settings_survive_being_saved(table, tmp_path) -> None:
    settings = replace(Settings(), **table)
    settings.save(tmp_path)
    assert Settings.load(tmp_path, {}) == settings


def test_documents_speak_for_their_pages_as_much_as_the_settings_say() -> None:
    alone = ask(parts(replace(SETTINGS, document_share=0.0)), rerank="off")
    lifted = ask(
        parts(
            replace(SETTINGS, document_share=1.0), extents_of=lambda docs: dict.fromkeys(docs, Extent(1000))
        ),
        rerank="off",
    )
    assert order(lifted) == order(alone)  # all of one document
    assert alone.hits[0].score != lifted.hits[0].score


@pytest.mark.parametrize("rerank", ["auto", "off"])
def test_pages_named_by_number_come_first_also_after_reranking_unless_the_settings_say_no(rerank) -> None:
    known = {
        "extents_of": lambda docs: {doc: Extent(9) for doc in docs},
        "searchable": lambda pages: [page for page in pages if page != "b/0007"],
    }
    named = ask(parts(**known), "what does page 2 say?", rerank=rerank)
    assert {*order(named)[:2]} == {"a/0002", "b/0002"}
    beyond = ask(parts(**known), "what does page 7 say?", rerank=rerank)
    assert order(beyond)[0] == "a/0007"  # no arm had found it
    assert "b/0007" not in order(beyond)
    plain = ask(parts(replace(SETTINGS, named_pages=False), **known), "what does page 2 say?", rerank=rerank)
    assert order(plain) == order(ask(parts(**known), rerank=rerank))


@pytest.mark.parametrize("value", ["net income", 3, ["net income", 3]])
def test_a_vocabulary_that_is_no_table_of_lists_is_refused(value) -> None:
    with pytest.raises(UsageError, match=r"vocabulary takes lists, .* for 'ROA'"):
        Settings().changed({"vocabulary": {"ROA": value}})


def test_a_table_that_the_environment_cannot_hold_is_refused() -> None:
    with pytest.raises(UsageError, match=r"RECTO_VOCABULARY takes names and numbers, .*settings\.toml"):
        Settings.load(None, {"RECTO_VOCABULARY": "ROA=net income"})
