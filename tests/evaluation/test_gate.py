"""The gate of this repository: the demonstration documents and their questions, against stored reports.

The baselines are reports of `recto evaluate pages docs/demo --rerank off`, with `--arms lexical,text`, with
`--arms visual`, and with all arms.
"""

from pathlib import Path

import pytest

from evaluation import verbs
from evaluation.pages import Plan
from library.options import SearchOptions

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "docs" / "demo"
BASELINES = ROOT / "tests" / "data"
ARMS = {
    "demo-report.json": ("lexical", "text"),
    "demo-visual-report.json": ("visual",),
    "demo-served-report.json": None,
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("demo") / "library"


def asked(place, baseline, *, k=100):
    source = verbs.Source(DEMO, library=place)
    plan = Plan(options=SearchOptions(k=k, rerank="off", arms=ARMS[baseline]))
    return verbs.pages(source, plan, verbs.Outputs(baseline=BASELINES / baseline))


@pytest.mark.parametrize("baseline", ARMS)
def test_the_arms_that_ship_have_not_become_worse_on_the_demonstration_documents(place, baseline):
    verdict = asked(place, baseline)
    assert verdict.regressed == ()
    assert verdict.code == verbs.DONE
    assert verdict.outcome.report.costs.pages == 14


def test_a_pipeline_that_returns_one_page_only_does_not_pass(place):
    verdict = asked(place, "demo-report.json", k=1)
    assert {c.measure for c in verdict.regressed} >= {"nDCG@10", "recall@100"}
    assert verdict.code == verbs.FAILED
