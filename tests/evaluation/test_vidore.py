"""The official ViDoRe tasks run on tiny local parquet through the served pipeline, and can be resumed."""

import io
import json
import math

import datasets
import huggingface_hub.constants
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import pytrec_eval
from PIL import Image, ImageDraw

from domain.errors import UsageError
from evaluation.report import dump
from evaluation.served import Watch
from evaluation.trec import read_run
from evaluation.vidore import Setup, evaluate
from evaluation.vidore_boxes import original, read
from evaluation.vidore_data import Choice
from library.options import SearchOptions
from retrieve.adapters.colour import ColourEncoder
from retrieve.encoder import Vectors

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # mteb and datasets warn of their own deprecations
]

PAGES = ["red", "green", "blue", "yellow", "cyan", "magenta"]
LANGUAGES = ["french", "spanish", "english", "german", "italian", "portuguese"]
RGB = {"red": "#f00", "green": "#0f0", "blue": "#00f", "yellow": "#ff0", "cyan": "#0ff", "magenta": "#f0f"}


def picture(colour, kind):
    out = io.BytesIO()
    image = Image.new("RGB", (60, 80), RGB[colour])
    mark = "white" if colour == "blue" else "black"  # a page of one shade is blank
    ImageDraw.Draw(image).rectangle((10, 10, 30, 16), fill=mark)
    image.save(out, kind)
    return {"bytes": out.getvalue(), "path": None}


def write(folder, config, columns):
    (folder / config).mkdir(parents=True)
    pq.write_table(pa.table(columns), folder / config / "test-00000-of-00001.parquet")


def readme(folder):
    configs = sorted(p.name for p in folder.iterdir() if p.is_dir())
    lines = [f"- config_name: {c}\n  data_files:\n  - split: test\n    path: {c}/test-*" for c in configs]
    (folder / "README.md").write_text("---\nconfigs:\n" + "\n".join(lines) + "\n---\n")


def write_old(folder, *, languages=()):
    """The schema of versions 1 and 2; the last query's page is judged wrongly on purpose."""
    images = [picture(c, "PNG") for c in PAGES]
    write(folder, "corpus", {"corpus-id": list(range(6)), "image": images})
    spoken = languages or [None]
    texts = [(colour, language) for language in spoken for colour in PAGES[:4]]
    queries = {"query-id": list(range(len(texts))), "query": [text for text, _ in texts]}
    if languages:
        queries["language"] = [language for _, language in texts]
    write(folder, "queries", queries)
    gold = [i % 4 if i % 4 < 3 else 5 for i in range(len(texts))]
    qrels = {"query-id": list(range(len(texts))), "corpus-id": gold, "score": [1] * len(texts)}
    write(folder, "qrels", qrels)
    readme(folder)


def write_new(folder, *, text=False, candidates=False, languages=LANGUAGES):
    """The schema of version 3: one corpus, queries and qrels a language."""
    for language in languages:
        corpus = {"id": [f"p{i}" for i in range(6)], "image": [picture(c, "JPEG") for c in PAGES]}
        if text:
            corpus["text"] = [f"text of {c}" for c in PAGES]
        write(folder, f"{language}-corpus", corpus)
        names = [f"q{i}" for i in range(4)]
        write(folder, f"{language}-queries", {"id": names, "text": PAGES[:4]})
        gold = ["p0", "p1", "p2", "p5"]
        write(folder, f"{language}-qrels", {"query-id": names, "corpus-id": gold, "score": [2, 1, 1, 1]})
        if candidates:
            top = [["p0", "p3", "p5"], ["p1", "p2"], ["p3", "p4"], ["p3", "p5"]]
            write(folder, f"{language}-top_ranked", {"query-id": names, "corpus-ids": top})
    readme(folder)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Evaluate one task with the encoder that sees colours; nothing outside the test's folder is written."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_OFFLINE", True)

    def run(benchmark, task, *, languages=(), reranker="none", rerank="off", watch=None):
        setup = Setup(
            results=tmp_path / "results",
            options=SearchOptions(k=100, rerank=rerank),
            settings={"encoder": "colour", "reranker": reranker, "dpi": 72},
            library=tmp_path / "library",
            watch=watch or Watch(),
        )
        return evaluate(Choice(benchmark, task, languages, tmp_path / "data"), setup)

    return run


def mteb_result(tmp_path, task):
    (path,) = (tmp_path / "results" / "mteb").rglob(f"{task}.json")
    return json.loads(path.read_text())


def rescored(tmp_path, task, subset):
    (run,) = (tmp_path / "results" / "runs").glob(f"*/{task}/{subset}/first-stage.trec")
    qrels = {}
    for line in run.with_name("qrels.trec").read_text().splitlines():
        query, _, page, score = line.split()
        qrels.setdefault(query, {})[page] = int(score)
    found = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.5,10"}).evaluate(read_run(run))
    return {k: np.mean([v[f"ndcg_cut_{k}"] for v in found.values()]) for k in (5, 10)}


def test_version_1_runs_and_three_tools_give_one_figure(run, tmp_path):
    task = "VidoreArxivQARetrieval"
    write_old(tmp_path / "data" / task)
    outcome = run("v1", task)
    (scores,) = mteb_result(tmp_path, task)["scores"]["test"]
    ours = outcome.tasks[0].report.pipeline.figures
    other = rescored(tmp_path, task, "default")
    assert scores["ndcg_at_5"] == pytest.approx(ours["nDCG@5"].mean, abs=1e-5)
    assert other[5] == pytest.approx(ours["nDCG@5"].mean)
    assert 0.7 < ours["nDCG@5"].mean < 1
    assert outcome.tasks[0].main_score == {"first stage": pytest.approx(scores["main_score"])}


def test_version_2_runs_by_language(run, tmp_path):
    task = "Vidore2ESGReportsRetrieval"
    write_old(tmp_path / "data" / task, languages=["french", "spanish", "english", "german"])
    outcome = run("v2", task, languages=("english", "fra"))
    report = outcome.tasks[0].report
    assert {(s.field, s.value, s.queries) for s in report.slices} == {
        ("language", "english", 4),
        ("language", "french", 4),
    }
    subsets = {
        score["hf_subset"]: score["ndcg_at_5"] for score in mteb_result(tmp_path, task)["scores"]["test"]
    }
    assert set(subsets) == {"english", "french"}
    assert np.mean(list(subsets.values())) == pytest.approx(report.pipeline.figures["nDCG@5"].mean, abs=1e-5)


def test_version_3_embeds_each_picture_once_and_goes_on_where_it_was_stopped(run, tmp_path):
    task = "Vidore3FinanceEnRetrieval"
    write_new(tmp_path / "data" / task)
    embedded, asked = [], []

    def interrupted(name):
        asked.append(name)
        if len(asked) == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run("v3", task, watch=Watch(embedding=embedded.append, asking=interrupted))
    assert len(asked) == 6
    assert len(embedded) == 6
    outcome = run("v3", task, watch=Watch(embedding=embedded.append, asking=asked.append))
    assert len(embedded) == 6
    assert len(asked) == 6 + 24 - 4
    report = outcome.tasks[0].report
    assert len(report.queries) == 24
    assert rescored(tmp_path, task, "german")[10] == pytest.approx(report.pipeline.figures["nDCG@10"].mean)
    again = run("v3", task, watch=Watch(embedding=embedded.append, asking=asked.append))
    assert (len(asked), len(embedded)) == (26, 6)
    assert dump(again.tasks[0].report) == dump(report)
    assert again.tasks[0].main_score == outcome.tasks[0].main_score


def test_version_3_1_reranking_orders_only_the_given_candidates(run, tmp_path):
    task = "Vidore3FinanceEnBM25sReranking.v2"
    write_new(tmp_path / "data" / task, text=True, candidates=True)
    outcome = run("v3.1-reranking", task, languages=("english",))
    (path,) = (tmp_path / "results" / "runs").glob(f"*/{task}/english/first-stage.trec")
    found = read_run(path)
    assert set(found["q0"]) == {"p0", "p3", "p5"}
    assert next(iter(found["q1"])) == "p1"
    assert set(found["q2"]) == {"p3", "p4"}
    figures = outcome.tasks[0].report.pipeline.figures
    ideal = [1, 1, 0, 1 / math.log2(3)]
    assert figures["nDCG@10"].mean == pytest.approx(np.mean(ideal))
    assert figures["recall@100"].mean == 0.75


def test_a_reranker_alone_orders_the_given_candidates_beside_the_first_stage(run, tmp_path, contrary):
    task = "Vidore3FinanceEnBM25sReranking.v2"
    write_new(tmp_path / "data" / task, text=True, candidates=True, languages=["english"])
    outcome = run("v3.1-reranking", task, languages=("english",), rerank="auto", **contrary)
    (path,) = (tmp_path / "results" / "runs").glob(f"*/{task}/english/pipeline.trec")
    assert list(read_run(path)["q0"])[-1] == "p0"
    assert set(outcome.tasks[0].main_score) == {"first stage", "pipeline"}
    models = {p.parents[1].name for p in (tmp_path / "results" / "mteb").rglob(f"{task}.json")}
    assert models == {"recto__colour", "recto__contrary"}


def test_what_is_not_there_is_named(run, tmp_path):
    with pytest.raises(UsageError, match="there is no benchmark 'v9'; there are: v1, v2, v3"):
        run("v9", None)
    with pytest.raises(UsageError, match="v1 has no task 'Arxiv'; it has: VidoreArxivQARetrieval"):
        run("v1", "Arxiv")
    with pytest.raises(UsageError, match="no task of v1 is in german"):
        run("v1", None, languages=("german",))
    with pytest.raises(UsageError, match=r"there is no data for any of 10 tasks; .*README\.md"):
        run("v1", None)


def test_data_in_the_schema_of_another_version_is_refused_before_anything_runs(run, tmp_path):
    task = "Vidore3FinanceEnRetrieval"
    write_old(tmp_path / "data" / task)
    with pytest.raises(
        UsageError, match=r"french-corpus holds no parquet.*folders here are: corpus, qrels, queries"
    ):
        run("v3", task)
    wrong = tmp_path / "data" / "VidoreArxivQARetrieval"
    write_old(wrong)
    (wrong / "queries" / "test-00000-of-00001.parquet").unlink()
    (wrong / "queries").rmdir()
    write(wrong, "queries", {"id": ["q0"], "text": ["red"]})
    with pytest.raises(
        UsageError, match=r"queries/test-.*\.parquet: no column query, query-id; it has id, text"
    ):
        run("v1", "VidoreArxivQARetrieval")
    assert not (tmp_path / "results").exists()


def write_boxes(place, corners, *, shift=0):
    """The original data of version 3: a box on each relevant page, in pixels; texts as in `write_new`."""
    queries = {"query_id": [7, 8, 9, 10], "query": PAGES[:4]}
    boxes = [[{"annotator": 1, "x1": x0, "x2": x1, "y1": y0, "y2": y1}] for x0, y0, x1, y1 in corners]
    pages = [page + shift for page in (0, 1, 2, 5)]
    qrels = {
        "query_id": [7, 8, 9, 10],
        "corpus_id": pages,
        "score": [1] * 4,
        "bounding_boxes": [*boxes[:3], []],
    }
    write(place, "queries", queries)
    write(place, "qrels", qrels)


class Cornered(ColourEncoder):
    """Sees colours, and looks at the upper left quarter of a page."""

    def pages(self, images):
        box = np.array([[0, 0, 0.5, 0.5]], dtype=np.float32)
        return [Vectors(found.rows, box) for found in super().pages(images)]


def test_boxes_of_the_original_data_become_grounding_figures(run, tmp_path, monkeypatch):
    monkeypatch.setattr("library.models.load_encoder", lambda _: Cornered())
    task = "Vidore3FinanceEnRetrieval"
    write_new(tmp_path / "data" / task, languages=["english"])
    without = run("v3", task, languages=("english",)).tasks[0].report
    assert without.grounding is None
    assert "vidore_v3_finance_en" in without.notes[0]
    quarter, corner = (0, 0, 30, 40), (54, 72, 60, 80)  # of pages of 60 x 80 pixels
    write_boxes(tmp_path / "data" / "vidore_v3_finance_en", [quarter, quarter, corner, quarter])
    found = run("v3", task, languages=("english",)).tasks[0].report
    assert (found.grounding.pages, found.grounding.left_out, found.notes) == (3, 0, ())
    assert found.grounding.pointing.mean == pytest.approx(2 / 3)
    assert found.grounding.overlap.mean == pytest.approx(2 / 3, abs=0.01)
    assert found.grounding.chance == pytest.approx((0.25 + 0.25 + 0.01) / 3, abs=0.01)


def test_boxes_whose_pages_are_numbered_differently_are_left_aside(run, tmp_path):
    task = "Vidore3FinanceEnRetrieval"
    write_new(tmp_path / "data" / task, languages=["english"])
    write_boxes(tmp_path / "data" / "vidore_v3_finance_en", [(0, 0, 30, 40)] * 4, shift=1)
    found = run("v3", task, languages=("english",)).tasks[0].report
    assert found.grounding is None
    assert "numbered differently" in found.notes[0]


def test_boxes_in_another_schema_are_refused_with_file_and_column(tmp_path):
    write(tmp_path, "queries", {"query_id": [1], "query": ["red"]})
    write(tmp_path, "qrels", {"query_id": [1], "corpus_id": [1], "score": [1]})
    with pytest.raises(UsageError, match=r"qrels.*no column bounding_boxes"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("task", "name"),
    [
        ("Vidore3FinanceEnRetrieval.v2", "vidore_v3_finance_en"),
        ("Vidore3ComputerScienceQwen3VLEmbedding2BHLReranking.v2", "vidore_v3_computer_science"),
        ("Vidore3HrBM25sReranking.v2", "vidore_v3_hr"),
    ],
)
def test_a_task_knows_the_data_it_was_made_from(task, name):
    assert original(task) == name
