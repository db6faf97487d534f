"""Several folders of questions evaluated in one call: one report over all, and one for each."""

import json
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

from domain.errors import UsageError
from evaluation import report, verbs
from evaluation.pages import Plan
from evaluation.trec import read_run
from recto.evaluate import app
from tests.evaluation.test_pages import SETTINGS, benchmark_folder  # noqa: F401 - a fixture


@pytest.fixture(scope="module")
def folders(benchmark_folder, tmp_path_factory):  # noqa: F811 - the fixture
    """The folder of colours, and one of two questions about one of its documents."""
    other = tmp_path_factory.mktemp("other") / "few"
    (other / "pdfs").mkdir(parents=True)
    shutil.copy(benchmark_folder / "pdfs" / "b.pdf", other / "pdfs" / "b.pdf")
    lines = [{"_id": "q-cyan", "text": "cyan", "doc": "b"}, {"_id": "q-lost", "text": "cyan", "doc": "b"}]
    (other / "queries.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    rows = ["q-cyan\tb#1\t1", "q-lost\tb#0\t1"]
    (other / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n" + "\n".join(rows) + "\n")
    return [benchmark_folder, other]


@pytest.fixture(scope="module")
def done(folders, tmp_path_factory):
    place = tmp_path_factory.mktemp("suite")
    outputs = verbs.Outputs(run=place / "run.trec", report=place / "report")
    sources = [verbs.Source(folder, library=place / folder.name) for folder in folders]
    return outputs, verbs.suite(sources, Plan(), outputs, settings=SETTINGS)


def test_every_question_counts_once_in_the_report_over_all(done):
    _, verdict = done
    whole, parts = verdict.outcome.report, [part.outcome.report for part in verdict.parts]
    assert len(whole.queries) == 6
    assert len(set(whole.queries)) == 6
    values = [value for part in parts for value in part.scores["first stage"]["nDCG@10"]]
    assert whole.scores["first stage"]["nDCG@10"] == pytest.approx(values)
    assert whole.pipeline.figures["nDCG@10"].mean == pytest.approx(np.mean(values))
    assert whole.costs.pages == 7
    assert whole.provenance.seconds >= sum(part.provenance.seconds for part in parts)


def test_each_benchmark_is_a_slice_and_has_its_own_report(done):
    outputs, verdict = done
    sizes = {s.value: s.queries for s in verdict.outcome.report.slices if s.field == "benchmark"}
    assert sorted(sizes.values()) == [2, 4]
    assert all(s.field != "doc" for s in verdict.outcome.report.slices)
    for part in verdict.parts:
        kept = report.load(outputs.report / part.outcome.report.provenance.data)
        assert kept.scores == part.outcome.report.scores
    assert report.load(outputs.report).queries == verdict.outcome.report.queries
    assert "few:q-lost" in {case.question.id for case in verdict.outcome.cases}
    assert set(read_run(outputs.run)) == set(verdict.outcome.report.queries)


def test_a_suite_has_a_baseline_like_a_single_benchmark(done, folders):
    outputs, _ = done
    place = outputs.report.parent
    sources = [verbs.Source(folder, library=place / folder.name) for folder in folders]
    again = verbs.suite(sources, Plan(), verbs.Outputs(baseline=outputs.report), settings=SETTINGS)
    assert (again.regressed, again.code) == ((), verbs.DONE)
    with pytest.raises(UsageError, match="different data"):
        verbs.suite(sources[::-1], Plan(), verbs.Outputs(baseline=outputs.report), settings=SETTINGS)


def test_all_folders_are_checked_before_any_is_embedded(folders, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(folders[1], broken)
    (broken / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq-cyan\tb#1\tmuch\n")
    sources = [verbs.Source(folder, library=tmp_path / folder.name) for folder in (folders[0], broken)]
    with pytest.raises(UsageError, match=r"qrels\.tsv:2"):
        verbs.suite(sources, Plan(), verbs.Outputs(), settings=SETTINGS)
    assert not (tmp_path / folders[0].name).exists()


def test_folders_of_one_name_are_refused(folders, tmp_path):
    twin = tmp_path / "few"
    shutil.copytree(folders[1], twin)
    with pytest.raises(UsageError, match="have one name"):
        verbs.suite([verbs.Source(folders[1]), verbs.Source(twin)], Plan(), verbs.Outputs())


def test_the_command_takes_several_folders_and_shows_each(folders, tmp_path):
    arguments = ["pages", *map(str, folders), "--library", str(tmp_path / "one"), "--encoder", "colour"]
    arguments += ["--reranker", "none", "--arms", "visual", "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == verbs.DONE, result.output
    found = json.loads(result.stdout)
    assert [part["questions"] for part in found["parts"]] == [4, 2]
    assert found["questions"] == 6
