"""One's own questions run through the real library with the encoder that sees colours."""

import json
import shutil

import pymupdf
import pytest
import pytrec_eval
from typer.testing import CliRunner

from domain.errors import EngineError, RectoError, UsageError
from evaluation import report, verbs
from evaluation.export import export
from evaluation.folder import read_folder
from evaluation.pages import Plan
from evaluation.recording import plain
from evaluation.trec import read_run
from library.library import Library
from library.options import SearchOptions
from library.settings import Settings
from recto.evaluate import app
from tests.evaluation.conftest import Contrary

COLOURS = {
    "a": {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1)},
    "b": {"yellow": (1, 1, 0), "cyan": (0, 1, 1)},
}
SETTINGS = {"encoder": "colour", "reranker": "none", "arms": ["visual"], "dpi": 40}


def write_pdf(path, pages):
    with pymupdf.open() as document:
        for name, colour in pages.items():
            page = document.new_page(width=200, height=300)
            page.draw_rect(page.rect, color=colour, fill=colour)
            page.insert_text((20, 40), f"This page is {name}")
        document.save(path)


@pytest.fixture(scope="session")
def benchmark_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("colours")
    (folder / "pdfs").mkdir()
    for name, pages in COLOURS.items():
        write_pdf(folder / "pdfs" / f"{name}.pdf", pages)
    box = {"page": 0, "page_size": [200, 300], "bbox": [0, 0, 200, 300]}
    queries = [
        {"_id": "q-red", "text": "red", "doc": "a", "tone": "warm", "layout": [box]},
        {"_id": "q-blue", "text": "blue", "doc": "a", "tone": "cold"},
        {"_id": "q-cyan", "text": "cyan", "doc": "b", "tone": "cold"},
        {"_id": "q-wrong", "text": "green", "doc": "b", "tone": "warm"},
    ]
    (folder / "queries.jsonl").write_text("".join(json.dumps(q) + "\n" for q in queries))
    rows = ["q-red\ta#0\t1", "q-blue\ta#2\t1", "q-cyan\tb#1\t2", "q-wrong\tb#0\t1"]
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n" + "\n".join(rows) + "\n")
    return folder


@pytest.fixture(scope="session")
def indexed(benchmark_folder, tmp_path_factory):
    """A library in which the folder has been evaluated once."""
    place = tmp_path_factory.mktemp("library") / "library"
    Settings().changed(SETTINGS).save(place)
    source = verbs.Source(benchmark_folder, library=place)
    outputs = verbs.Outputs(run=place.parent / "run.trec", report=place.parent / "report")
    verdict = verbs.pages(source, Plan(), outputs, settings=SETTINGS)
    return place, outputs, verdict


def qrels_of(folder):
    out = {}
    for line in (folder / "qrels.tsv").read_text().splitlines()[1:]:
        query, page, score = line.split("\t")
        out.setdefault(query, {})[page] = int(score)
    return out


def test_colours_are_found_and_figures_say_so(indexed):
    found = indexed[2].outcome.report
    assert found.queries == ("q-red", "q-blue", "q-cyan", "q-wrong")
    assert found.scores["first stage"]["MRR"][:3] == (1, 1, 1)
    assert found.scores["first stage"]["MRR"][3] < 1
    assert found.pipeline.figures["recall@100"].mean == 1
    assert found.costs.pages == 5
    assert found.costs.pages_per_second > 0
    assert found.provenance.encoder["model"] == "colour"
    assert found.provenance.index_seconds > 0
    assert indexed[2].code == verbs.DONE


def test_the_trec_run_scored_by_another_tool_gives_the_reported_figures(indexed, benchmark_folder):
    _, outputs, verdict = indexed
    run = read_run(outputs.run)
    other = pytrec_eval.RelevanceEvaluator(
        qrels_of(benchmark_folder), {"ndcg_cut.10", "recip_rank"}
    ).evaluate(run)
    scores = verdict.outcome.report.scores[verdict.outcome.report.pipeline.name]
    for place, query in enumerate(verdict.outcome.report.queries):
        assert other[query]["ndcg_cut_10"] == pytest.approx(scores["nDCG@10"][place])
        assert other[query]["recip_rank"] == pytest.approx(scores["MRR"][place])


def test_the_run_is_in_the_order_that_search_serves(indexed):
    place, outputs, _ = indexed
    run = read_run(outputs.run)
    with Library.open(place) as library:
        served = library.search("green", SearchOptions(k=5, rerank="off", arms=("visual",)))
    expected = [f"{hit.document}#{hit.page - 1}" for hit in served.hits]
    assert list(run["q-wrong"]) == expected


def test_grounding_and_slices_come_from_the_questions(indexed):
    found = indexed[2].outcome.report
    assert (found.grounding.pages, found.grounding.left_out) == (0, 1)  # this encoder looks at whole pages
    assert {(s.field, s.value) for s in found.slices} == {
        ("doc", "a"),
        ("doc", "b"),
        ("tone", "warm"),
        ("tone", "cold"),
    }


def test_a_second_run_embeds_nothing_and_finds_the_same(indexed, benchmark_folder):
    place, _, before = indexed
    steps = []
    plan = Plan(embedding=steps.append)
    again = verbs.pages(
        verbs.Source(benchmark_folder, library=place), plan, verbs.Outputs(), settings=SETTINGS
    )
    assert steps == []
    assert again.outcome.report.costs.pages_per_second is None
    assert again.outcome.report.scores == before.outcome.report.scores
    assert [r.run for r in again.outcome.rankings] == [r.run for r in before.outcome.rankings]


def test_within_the_document_only_its_pages_are_ranked(indexed, benchmark_folder):
    source = verbs.Source(benchmark_folder, library=indexed[0])
    verdict = verbs.pages(source, Plan(bound=True), verbs.Outputs(), settings=SETTINGS)
    assert set(verdict.outcome.rankings[-1].run["q-wrong"]) == {"b#0", "b#1"}
    assert verdict.outcome.report.provenance.data.endswith("/within-document")


def test_a_stored_collection_is_asked_with_the_same_ids(indexed, benchmark_folder):
    place, _, before = indexed
    source = verbs.Source(collection="benchmark", queries=benchmark_folder / "queries.jsonl", library=place)
    verdict = verbs.pages(source, Plan(), verbs.Outputs())
    assert verdict.outcome.rankings[-1].run == before.outcome.rankings[-1].run


def test_pages_that_do_not_exist_are_refused_before_anything_is_embedded(benchmark_folder, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(benchmark_folder, folder)
    with (folder / "qrels.tsv").open("a") as file:
        file.write("q-red\ta#9\t1\n")
    source = verbs.Source(folder, library=tmp_path / "library")
    outputs = verbs.Outputs(run=tmp_path / "run.trec", report=tmp_path / "report")
    with pytest.raises(UsageError, match=r"qrels\.tsv:6: page 'a#9' does not exist: a has 3 pages"):
        verbs.pages(source, Plan(), outputs, settings=SETTINGS)
    assert not (tmp_path / "run.trec").exists()
    assert not (tmp_path / "report").exists()
    with Library.open(tmp_path / "library", Settings().changed(SETTINGS)) as library:
        assert sum(c.ready_pages for c in library.collections()) == 0
    verdict = verbs.pages(source, Plan(allow_missing=True), outputs, settings=SETTINGS)
    assert verdict.outcome.report.left_out == {"unknown_page": 1}
    assert verdict.code == verbs.PARTLY


def test_a_document_that_cannot_be_read_is_named_with_the_line_that_needs_it(benchmark_folder, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(benchmark_folder, folder)
    (folder / "pdfs" / "b.pdf").write_bytes(b"%PDF-1.7 broken")
    source = verbs.Source(folder, library=tmp_path / "library")
    with pytest.raises(UsageError, match=r"qrels\.tsv:4: page 'b#1': no pdfs/b\.pdf that can be read"):
        verbs.pages(source, Plan(), verbs.Outputs(), settings=SETTINGS)
    verdict = verbs.pages(source, Plan(allow_missing=True), verbs.Outputs(), settings=SETTINGS)
    assert verdict.code == verbs.PARTLY
    assert [f.path for f in verdict.outcome.failed] == [str(folder / "pdfs" / "b.pdf")]
    assert verdict.outcome.report.queries == ("q-red", "q-blue")


def test_the_gate_fails_when_the_pipeline_got_worse(indexed, benchmark_folder, tmp_path):
    place, _, before = indexed
    found = before.outcome.report
    source = verbs.Source(benchmark_folder, library=place)
    report.save(found, tmp_path / "same.json")
    verdict = verbs.pages(source, Plan(), verbs.Outputs(baseline=tmp_path / "same.json"), settings=SETTINGS)
    assert verdict.code == verbs.DONE
    bound = verbs.Outputs(baseline=tmp_path / "same.json")
    with pytest.raises(UsageError, match="different data"):
        verbs.pages(source, Plan(bound=True), bound, settings=SETTINGS)


def test_the_command_line_prints_json_and_leaves_with_the_right_code(indexed, benchmark_folder, tmp_path):
    place, _, before = indexed
    worse = json.loads(report.dump(before.outcome.report))
    for columns in worse["scores"].values():
        columns["nDCG@10"] = [2.0] * 4
    (tmp_path / "better.json").write_text(json.dumps(worse))
    arguments = ["pages", str(benchmark_folder), "--library", str(place), "--json", "--rerank", "off"]
    arguments += ["--encoder", "colour", "--reranker", "none", "--arms", "visual"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    value = json.loads(done.stdout)
    assert value["questions"] == 4
    assert value["metrics"]["recall@100"] == 1
    failed = CliRunner().invoke(app, [*arguments, "--baseline", str(tmp_path / "better.json")])
    assert failed.exit_code == 1
    assert json.loads(failed.stdout)["regressions"][0]["measure"] == "nDCG@10"


def test_two_reports_are_compared_on_the_command_line(indexed):
    folder = str(indexed[1].report)
    done = CliRunner().invoke(app, ["compare", folder, folder, "--json"])
    assert done.exit_code == 0, done.output
    assert {c["measure"]: c["p"] for c in json.loads(done.stdout)}["nDCG@10"] == 1
    assert "nDCG@10" in CliRunner().invoke(app, ["compare", folder, folder]).stdout


def test_a_report_folder_holds_the_report_three_times_and_a_run_a_stage(indexed):
    folder = indexed[1].report
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["first-stage.trec", "report.html", "report.json", "report.md"]
    assert report.load(folder).queries == indexed[2].outcome.report.queries
    assert "green" in (folder / "report.html").read_text()


def test_wrong_options_are_refused_with_the_remedy(tmp_path):
    with pytest.raises(UsageError, match="both --collection and --queries"):
        verbs.pages(verbs.Source(collection="x"), Plan(), verbs.Outputs())
    source = verbs.Source(collection="x", queries=tmp_path / "q.jsonl", library=tmp_path / "library")
    with pytest.raises(RectoError, match="there is no collection 'x'"):
        verbs.pages(source, Plan(), verbs.Outputs())


def test_the_cache_is_named_by_the_documents_and_what_made_their_vectors(benchmark_folder):
    files = read_folder(benchmark_folder)
    usual = verbs.cache_directory(files, verbs.Settings())
    assert usual == verbs.cache_directory(files, verbs.Settings(workers=7))
    assert usual != verbs.cache_directory(files, verbs.Settings(dpi=99))
    assert usual != verbs.cache_directory(files, verbs.Settings(encoder="colour"))


def test_both_stages_are_measured_and_the_step_between_them_is_counted(indexed, benchmark_folder, contrary):
    source = verbs.Source(benchmark_folder, library=indexed[0])
    verdict = verbs.pages(source, Plan(), verbs.Outputs(), settings=SETTINGS | contrary | {"blend": 0.0})
    report = verdict.outcome.report
    assert [stage.name for stage in report.stages] == ["first stage", "pipeline"]
    assert report.provenance.reranker["model"] == "contrary"
    assert list(verdict.outcome.rankings[1].run["q-red"])[-1] == "a#0"
    step = {lift.measure: lift.change for lift in report.lifts}
    assert step["recall@100"].same == 4
    assert step["nDCG@10"].hurt >= 1
    assert step["nDCG@10"].mean.mean == pytest.approx(
        report.stages[1].figures["nDCG@10"].mean - report.stages[0].figures["nDCG@10"].mean
    )


def test_clicks_are_exported_as_a_folder_that_can_be_evaluated(indexed, tmp_path):
    place = indexed[0]
    with Library.open(place) as library:
        (red,) = [d for d in library.documents() if d.name == "a.pdf"]
    lines = [
        {"query": "red", "page_id": f"{red.id}/0001"},
        {"query": "red", "page_id": f"{red.id}/0002", "score": 0},
        {"query": "blue page", "page_id": f"{red.id}/0003", "score": 2},
    ]
    log = tmp_path / "clicks.jsonl"
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = CliRunner().invoke(
        app, ["export", str(log), str(tmp_path / "mine"), "--library", str(place), "--json"]
    )
    assert json.loads(done.stdout) == {"questions": 2, "judgements": 3, "documents": 1}
    files = read_folder(tmp_path / "mine")
    assert {j.corpus_id: j.score for j in files.judgements} == {"a#0": 1, "a#1": 0, "a#2": 2}
    assert files.problems == ()
    assert verbs.pages(
        verbs.Source(tmp_path / "mine", library=place), Plan(), verbs.Outputs(), settings=SETTINGS
    ).outcome.report.scores["first stage"]["MRR"] == (1, 1)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("no", "expected"),
        ('{"query": "x", "page_id": "none/0001"}', "there is no page 'none/0001'"),
        ('{"query": "x", "page_id": 4}', "there is no page 4"),
        ('{"query": "", "page_id": "a/0001"}', "query must hold the question"),
        ('{"query": "x", "page_id": "a/0001", "score": -1}', "score must be a whole number"),
    ],
)
def test_a_wrong_line_of_a_log_is_named_and_nothing_is_written(indexed, tmp_path, line, expected):
    log = tmp_path / "clicks.jsonl"
    log.write_text(f"\n{line}\n")
    with (
        Library.open(indexed[0]) as library,
        pytest.raises(UsageError, match=rf"clicks\.jsonl:2: {expected}"),
    ):
        export(library, log, tmp_path / "mine")
    assert not (tmp_path / "mine").exists()


def test_boxes_without_a_visual_arm_are_no_error_and_said_to_be_unmeasured(benchmark_folder, tmp_path):
    source = verbs.Source(benchmark_folder, library=tmp_path / "library")
    verdict = verbs.pages(source, Plan(), verbs.Outputs(), settings={**SETTINGS, "arms": ["lexical"]})
    assert verdict.outcome.report.grounding is None
    assert verdict.outcome.report.notes == ("grounding was not measured: this library has no visual arm",)


def test_a_reranker_that_cannot_be_loaded_is_named_before_anything_is_embedded(benchmark_folder, tmp_path):
    source = verbs.Source(benchmark_folder, library=tmp_path / "library")
    chosen = {**SETTINGS, "reranker": str(tmp_path / "nothing here")}
    with pytest.raises(RectoError, match="nothing here"):
        verbs.pages(source, Plan(embedding=pytest.fail), verbs.Outputs(), settings=chosen)
    with Library.open(source.library) as library:
        assert library.documents() == ()


def test_an_engine_that_dies_midway_is_an_error_and_not_a_figure(benchmark_folder, tmp_path, monkeypatch):
    class Dying(Contrary):
        asked = 0

        def scores(self, query, candidates):
            self.asked += 1
            if self.asked == 3:
                raise EngineError("engine vllm at http://host (m): no connection")
            return super().scores(query, candidates)

    reranker = Dying()
    monkeypatch.setattr("library.models.load_reranker", lambda *_, **__: reranker)
    source, outputs = verbs.Source(benchmark_folder, library=tmp_path / "library"), tmp_path / "report"
    chosen = {**SETTINGS, "reranker": "contrary"}
    with pytest.raises(EngineError, match="question q-cyan: not reranked: engine vllm"):
        verbs.pages(source, Plan(), verbs.Outputs(report=outputs), settings=chosen)
    assert not outputs.exists()
    assert verbs.pages(source, Plan(), verbs.Outputs(), settings=chosen).code == verbs.DONE


def test_what_tuning_left_in_the_cache_decides_nothing(benchmark_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    source = verbs.Source(benchmark_folder)
    first = verbs.pages(source, Plan(), verbs.Outputs(), settings=SETTINGS)
    (kept,) = (tmp_path / "cache" / "recto" / "evaluation").iterdir()
    plain(Settings.load(kept), 50).save(kept)
    again = verbs.pages(source, Plan(), verbs.Outputs(), settings=SETTINGS)
    assert again.outcome.report.provenance.settings == first.outcome.report.provenance.settings
    monkeypatch.setenv("RECTO_CANDIDATES", "7")
    asked = verbs.pages(source, Plan(), verbs.Outputs(), settings=SETTINGS)
    assert asked.outcome.report.provenance.settings["candidates"] == 7
