"""The gate of this repository: the demonstration documents and their questions, against a stored report."""

from pathlib import Path

import pytest

from evaluation import verbs
from evaluation.pages import Plan
from library.options import SearchOptions

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "docs" / "demo"
BASELINE = ROOT / "tests" / "data" / "demo-report.json"
SETTINGS = {"encoder": "colour", "reranker": "none", "arms": ["lexical", "text"]}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("demo") / "library"


def test_the_text_arms_have_not_become_worse_on_the_demonstration_documents(place):
    source = verbs.Source(DEMO, library=place)
    verdict = verbs.pages(source, Plan(), verbs.Outputs(baseline=BASELINE), settings=SETTINGS)
    assert verdict.regressed == ()
    assert verdict.code == verbs.DONE
    assert verdict.outcome.report.costs.pages == 14


def test_a_pipeline_that_returns_one_page_only_does_not_pass(place):
    source = verbs.Source(DEMO, library=place)
    plan = Plan(options=SearchOptions(k=1))
    verdict = verbs.pages(source, plan, verbs.Outputs(baseline=BASELINE), settings=SETTINGS)
    assert {c.measure for c in verdict.regressed} >= {"nDCG@10", "recall@100"}
    assert verdict.code == verbs.FAILED
