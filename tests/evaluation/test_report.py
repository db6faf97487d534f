"""A report keeps its figures, renders without loading anything, and can be held against another."""

import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import sync_playwright

from domain.errors import StoreError, UsageError
from domain.page import Box
from evaluation import html, markdown, report
from evaluation.compare import compare, regressions
from evaluation.corpus import Corpus
from evaluation.gallery import worst
from evaluation.grounding import Aim, aims, fraction, ground
from evaluation.grounding import figures as grounded
from evaluation.measures import equal_area
from evaluation.plots import plots
from evaluation.questions import GoldBox, Question
from library.results import Evidence, EvidenceCell


class Shown:
    """Page pictures and maps made by hand."""

    def image(self, page_id, *, width=None):
        if page_id.endswith("0003"):
            raise StoreError("the picture is damaged; run `recto verify --repair`")
        return Picture()

    def evidence(self, page_id, query, *, limit=12):
        box = Box(0.5, 0.5, 1, 1) if query == "below" else Box(0, 0, 0.5, 0.5)
        cells = () if query == "dark" else (EvidenceCell(box, "word", 0.9),)
        return Evidence(page_id, query, cells, "")


class Picture:
    media_type = "image/png"

    @property
    def data(self):
        out = io.BytesIO()
        Image.new("RGB", (60, 80), "teal").save(out, "PNG")
        return out.getvalue()


def cases_of(built):
    found, rankings, questions, qrels = built
    corpus = Corpus.of({"a": "doc"})
    values = found.scores["pipeline"]["nDCG@10"]
    return worst(Shown(), corpus, questions=questions, qrels=qrels, run=rankings[-1].run, values=values)


def test_a_report_read_back_is_the_report_that_was_written(build, tmp_path):
    found = build()[0]
    report.save(found, tmp_path / "report.json")
    assert report.load(tmp_path) == report.load(tmp_path / "report.json")
    assert report.dump(report.load(tmp_path)) == report.dump(found)
    assert "Where is" not in report.dump(found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("{", "the file"), ("{}", "title"), ('{"title": 3}', "title"), ("[]", "the file")],
)
def test_a_file_that_is_no_report_is_named(tmp_path, text, expected):
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(UsageError, match=rf"report\.json is not a report of this version: {expected}"):
        report.load(tmp_path)


def test_a_report_of_another_version_is_refused(build, tmp_path):
    text = report.dump(build()[0]).replace("recto-report/1", "recto-report/9")
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(UsageError, match="not a report of this version: schema"):
        report.load(tmp_path)
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        report.load(tmp_path / "none")


def test_the_headline_has_the_first_stages_recall_beside_the_pipelines_ndcg(build):
    found = build()[0]
    text = markdown.headline(found)
    assert "first stage: recall@100 | 0.875" in text
    mean = np.mean(found.scores["pipeline"]["nDCG@10"])
    assert f"whole pipeline: nDCG@10 | {mean:.3f} [" in text


def test_each_step_counts_helped_and_hurt(build):
    lifts = {(x.before, x.after, x.measure): x.change for x in build()[0].lifts}
    change = lifts["first stage", "pipeline", "nDCG@10"]
    assert (change.helped, change.hurt, change.same) == (4, 1, 3)
    assert lifts["visual", "first stage", "nDCG@10"].same == 8


def test_slices_hold_the_questions_that_share_a_value(build):
    found = {(s.field, s.value): s for s in build()[0].slices}
    assert found["kind", "chart"].queries == 4
    assert found["kind", "chart"].figures["pipeline"]["nDCG@10"].mean == pytest.approx(1.0)


def test_markdown_tables_have_as_many_cells_in_every_row(build):
    text = markdown.whole(build()[0])
    for block in re.findall(r"(?:^\|.*\n?)+", text, flags=re.MULTILINE):
        assert len({re.sub(r"\\\|", "", line).count("|") for line in block.splitlines()}) == 1
    assert "Left out: 2 unknown_page" in text


def test_the_page_escapes_questions_and_loads_nothing(build):
    text = html.page(build()[0], cases_of(build()))
    assert "<b>q5</b>" not in text
    assert "Where is &lt;b&gt;q5&lt;/b&gt;?" in text
    links = re.findall(r"(?:src|href)=\"([^\"]*)\"", text)
    assert links
    assert all(link.startswith("data:image/") for link in links)
    HTMLParser().feed(text)


def test_the_worst_question_comes_first_with_its_expected_page_and_what_came_instead(build):
    first, *rest = cases_of(build())
    assert first.question.id == "q5"
    assert [(t.page, t.rank) for t in first.expected] == [("a#0", None)]
    assert [t.page for t in first.returned] == ["a#1", "a#2", "a#3"]
    assert first.returned[1].problem.startswith("the picture is damaged")
    assert all(case.value < 1 for case in rest)


def test_plots_are_the_same_for_the_same_report(build):
    first = plots(build()[0])
    assert first == plots(build()[0])
    assert set(first) == {
        "Recall against depth",
        "nDCG@10 against milliseconds a query",
        "What the last stage changed, query by query",
        "nDCG@10 by slice",
    }


@pytest.mark.browser
def test_the_page_renders_in_chromium_without_errors(build, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(html.page(build()[0], cases_of(build())))
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page()
        said = []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(path.as_uri())
        page.locator("details").last.locator("summary").click()
        widths = page.eval_on_selector_all("img", "all => all.map(i => i.naturalWidth)")
        overflow = page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
        browser.close()
    assert said == []
    assert min(widths[:4]) > 0
    assert not overflow


def test_a_pipeline_that_lost_many_questions_is_a_regression_and_one_that_lost_one_is_not(build):
    good = build(second=(1,) * 8)[0]
    one = build(second=(1,) * 7 + (2,))[0]
    many = build(second=(4, 5, 0, 0, 3, 1, 0, 5))[0]
    assert regressions(good, good) == ()
    assert regressions(good, one) == ()
    assert {c.measure for c in regressions(good, many)} >= {"nDCG@5", "nDCG@10"}
    assert regressions(many, good) == ()


def test_reports_on_other_data_are_not_compared(build):
    with pytest.raises(UsageError, match="the figures are on different data: tiny r1 and tiny r2"):
        compare(build()[0], build(revision="r2")[0])


def test_a_comparison_pairs_questions_by_id_and_not_by_place(build):
    first = build()[0]
    turned = report.Report(
        **{
            **{name: getattr(first, name) for name in first.__slots__},
            "queries": first.queries[::-1],
            "scores": {s: {m: v[::-1] for m, v in t.items()} for s, t in first.scores.items()},
        }
    )
    assert all(c.change.same == 8 for c in compare(first, turned))


def test_grounding_scores_the_hottest_cell_and_counts_pages_without_a_map():
    gold = GoldBox(0, 100, 200, 0, 0, 50, 100)
    texts = ["above", "below", "dark", "not indexed"]
    questions = [
        Question(f"q{i}", text, "b" if text == "not indexed" else "a", {}, (gold,))
        for i, text in enumerate(texts)
    ]
    qrels = {f"q{i}": {"b#0" if text == "not indexed" else "a#0": 1} for i, text in enumerate(texts)}
    corpus = Corpus.of({"a": "doc", "b": "other"})
    found = grounded(ground(Shown(), aims(questions, qrels, corpus), ready={"doc/0001"}.__contains__))
    assert (found.pages, found.left_out) == (2, 2)
    assert found.pointing.mean == 0.5
    assert found.overlap.mean == pytest.approx(0.5, abs=0.01)
    assert found.chance == pytest.approx(0.25, abs=0.01)


def test_boxes_on_pages_that_are_not_relevant_are_left_aside():
    question = Question("q0", "above", "a", {}, (GoldBox(1, 10, 10, 0, 0, 5, 5),))
    corpus = Corpus.of({"a": "doc"})
    assert aims([question], {"q0": {"a#0": 1}}, corpus) == []
    assert grounded(ground(Shown(), [])) is None


def test_a_box_in_points_becomes_a_fraction_whichever_corner_came_first():
    assert fraction(GoldBox(0, 100, 200, 50, 100, 0, -5)) == Box(0, 0, 0.5, 0.5)


def test_the_hottest_cells_are_taken_until_they_cover_the_gold_area():
    cells = [Box(0, 0, 0.1, 1), Box(0.1, 0, 0.2, 1), Box(0.2, 0, 0.3, 1)]
    assert equal_area(cells, [Box(0, 0, 0.2, 1)]) == cells[:2]
    assert equal_area(cells, [Box(0, 0, 1, 1)]) == cells


def test_the_words_of_a_prompt_point_nowhere():
    class Prompted:
        def evidence(self, page_id, query, *, limit=12):
            cells = [
                EvidenceCell(Box(0, 0, 1, 1), "describe", 0.9),
                EvidenceCell(Box(0, 0, 0.2, 0.2), "x", 0.5),
            ]
            return Evidence(page_id, query, tuple(cells), "")

    found = ground(Prompted(), [Aim("x", "doc/0001", (Box(0.8, 0.8, 1, 1),))])
    assert (found.hit, found.overlap) == ((0.0,), (0.0,))
