"""A TREC run holds the order that was served, whatever tool reads it."""

import itertools

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import UsageError
from evaluation.measures import measure
from evaluation.trec import falling, read_run, trec_id, trec_order, write_run

SCORES = st.lists(
    st.floats(-1e6, 1e6, width=64) | st.sampled_from([0.0, 1.0, 1.0 + 1e-12, -0.0]), max_size=40
)


@given(SCORES)
def test_falling_scores_fall_strictly_in_single_precision(scores):
    out = falling(scores)
    assert len(out) == len(scores)
    assert all(np.float32(a) > np.float32(b) for a, b in itertools.pairwise(out))


@given(st.lists(st.integers(-1000, 1000), unique=True, max_size=30))
def test_scores_that_fall_already_are_kept(scores):
    ordered = sorted(map(float, scores), reverse=True)
    assert falling(ordered) == ordered


def test_a_score_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="not a finite score: nan"):
        falling([1.0, float("nan")])


@given(SCORES.filter(bool))
def test_a_run_written_and_read_keeps_the_served_order(tmp_path_factory, scores):
    path = tmp_path_factory.mktemp("run") / "a.trec"
    pages = [f"d{(i * 7) % 11}#{i}" for i in range(len(scores))]
    write_run(path, {"q": dict(zip(pages, falling(scores), strict=True))}, tag="recto")
    read = read_run(path)
    assert [page for page, _ in trec_order(read["q"])] == pages


def test_a_reordered_top_above_an_untouched_tail_is_scored_as_served(tmp_path):
    served = ["d#2", "d#1", "d#9", "d#8"]
    run = {"q": dict(zip(served, falling([-4.0, -7.5, 0.031, 0.030]), strict=True))}
    write_run(tmp_path / "a.trec", run, tag="recto")
    qrels = {"q": {"d#1": 1}}
    found = pytrec_eval.RelevanceEvaluator(qrels, {"recip_rank"}).evaluate(read_run(tmp_path / "a.trec"))
    assert found["q"]["recip_rank"] == 0.5 == measure(qrels, run, ["q"])["MRR"][0]


def test_lines_have_six_columns_even_where_a_file_name_has_spaces(tmp_path):
    write_run(tmp_path / "a.trec", {"q": {"Annual report 2023#0": 1.0}}, tag="my tag")
    (line,) = (tmp_path / "a.trec").read_text().splitlines()
    assert line == "q Q0 Annual%20report%202023#0 1 1 my%20tag"
    assert trec_id("100%") == "100%"


def test_a_line_that_is_no_run_names_file_and_line(tmp_path):
    path = tmp_path / "a.trec"
    path.write_text("q Q0 a 1 1.0 t\nq Q0 a\n")
    with pytest.raises(UsageError, match=r"a\.trec:2: expected"):
        read_run(path)
    path.write_text("q Q0 a 1 1.0 t\nq Q0 a 2 0.5 t\n")
    with pytest.raises(UsageError, match=r"a\.trec:2: page 'a' stands twice"):
        read_run(path)
