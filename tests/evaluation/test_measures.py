"""Measures agree with pencil tables, with an independent implementation, and with trec's tie order."""

import math
import random

import ir_measures
import numpy as np
import pytest
import pytrec_eval
from scipy import stats

from domain.page import Box
from evaluation.measures import MEASURES, measure, overlap, percentiles, points_at, recall_by_depth
from evaluation.statistics import difference, figure, figures, randomisation


def by_hand(judged, found):
    """Written from the definitions, sharing nothing with the package."""
    order = [p for p, _ in sorted(found.items(), key=lambda kv: (np.float32(kv[1]), kv[0]), reverse=True)]
    gains = [max(judged.get(p, 0), 0) for p in order]
    ideal = sorted((g for g in judged.values() if g > 0), reverse=True)

    def dcg(values, k):
        return sum(g / math.log2(i + 2) for i, g in enumerate(values[:k]))

    positives = len(ideal)
    ranks = [i + 1 for i, g in enumerate(gains) if g > 0]
    out = {f"nDCG@{k}": dcg(gains, k) / dcg(ideal, k) for k in (5, 10)}
    out |= {f"recall@{k}": sum(r <= k for r in ranks) / positives for k in (1, 5, 10, 20, 100)}
    out["MRR"] = 1 / ranks[0] if ranks else 0.0
    out["MAP"] = sum((n + 1) / r for n, r in enumerate(ranks)) / positives
    return out


def random_case(seed, *, queries=30, pages=60, levels=4):
    rng = random.Random(seed)
    names = [f"doc{i % 7}#{i}" for i in range(pages)]
    qrels = {
        f"q{i}": {p: rng.choice([0, 1, 1, 2]) for p in rng.sample(names, 6)} | {names[i]: 1}
        for i in range(queries)
    }
    run = {
        f"q{i}": {p: rng.randrange(levels) / 3 for p in rng.sample(names, rng.randrange(0, pages))}
        for i in range(queries)
    }
    return qrels, run


@pytest.mark.parametrize("seed", range(5))
def test_every_measure_agrees_with_its_definition_on_random_runs_with_ties(seed):
    qrels, run = random_case(seed)
    queries = sorted(qrels)
    values = measure(qrels, run, queries)
    for place, query in enumerate(queries):
        expected = by_hand(qrels[query], run[query])
        assert set(expected) == set(MEASURES)
        for name, value in expected.items():
            assert values[name][place] == pytest.approx(value, abs=1e-9), (query, name)


def test_the_figures_are_those_of_pytrec_eval_on_runs_with_ties():
    qrels, run = random_case(11)
    evaluator = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.5,10", "recip_rank", "map", "recall.1,100"})
    other = evaluator.evaluate({q: pages for q, pages in run.items() if pages})
    values = measure(qrels, run, sorted(qrels))
    names = {"nDCG@5": "ndcg_cut_5", "nDCG@10": "ndcg_cut_10", "MRR": "recip_rank", "MAP": "map"}
    names |= {"recall@1": "recall_1", "recall@100": "recall_100"}
    for ours, theirs in names.items():
        expected = [other.get(query, {}).get(theirs, 0.0) for query in sorted(qrels)]
        np.testing.assert_allclose(values[ours], expected, atol=1e-12)


def test_a_pencil_table_of_graded_relevance():
    qrels = {"q": {"a": 2, "b": 1, "c": 0}}
    values = measure(qrels, {"q": {"c": 3.0, "b": 2.0, "a": 1.0}}, ["q"])
    ideal = 2 + 1 / math.log2(3)
    assert values["nDCG@5"][0] == pytest.approx((1 / math.log2(3) + 2 / 2) / ideal)
    assert values["MRR"][0] == 0.5
    assert values["MAP"][0] == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert values["recall@1"][0] == 0
    assert values["recall@5"][0] == 1


def test_equal_scores_stand_in_falling_order_of_id_as_trec_eval_has_them():
    qrels = {"q": {"a": 1}}
    assert measure(qrels, {"q": {"a": 1.0, "b": 1.0}}, ["q"])["MRR"][0] == 0.5
    assert measure({"q": {"b": 1}}, {"q": {"a": 1.0, "b": 1.0}}, ["q"])["MRR"][0] == 1.0


def test_a_query_that_found_nothing_counts_zero_and_not_less():
    qrels = {"q1": {"a": 1}, "q2": {"a": 1}}
    values = measure(qrels, {"q1": {"a": 1.0}, "q2": {}}, ["q1", "q2"])
    assert list(values["nDCG@10"]) == [1.0, 0.0]


def test_a_query_without_judgements_is_refused():
    with pytest.raises(ValueError, match="no judgements for 1 queries, such as 'x'"):
        measure({"q": {"a": 1}}, {}, ["x"])


def test_the_recall_curve_passes_through_recall_at_each_depth_and_never_falls():
    qrels, run = random_case(5, pages=150)
    curve = recall_by_depth(qrels, run, depth=100)
    assert (np.diff(curve) >= -1e-12).all()
    for depth in (1, 5, 10, 20, 100):
        expected = ir_measures.calc_aggregate([ir_measures.R @ depth], qrels, run)[ir_measures.R @ depth]
        assert curve[depth - 1] == pytest.approx(expected)


def test_percentiles_of_nothing_are_none_and_of_a_hundred_are_where_they_should_be():
    assert percentiles([]) is None
    found = percentiles([float(i) for i in range(1, 102)])
    assert (found.p50, found.p95, found.p99, found.mean) == (51, 96, 100, 51)


def test_pointing_takes_the_centre_of_the_hottest_cell():
    gold = [Box(0.5, 0.5, 1, 1)]
    assert points_at(Box(0.5, 0.5, 0.7, 0.7), gold)
    assert not points_at(Box(0.3, 0.3, 0.6, 0.6), gold)
    assert not points_at(Box(0, 0, 1, 1), [])


def test_overlap_is_intersection_over_union_of_the_areas_covered():
    left, right = Box(0, 0, 0.5, 1), Box(0.25, 0, 0.75, 1)
    assert overlap([left], [right]) == pytest.approx(1 / 3, abs=0.01)
    assert overlap([left, left], [left]) == 1
    assert overlap([], [left]) == overlap([], []) == 0


def test_the_bootstrap_interval_agrees_with_scipy():
    values = np.random.default_rng(3).random((80, 2))
    ours = figures(values, resamples=20_000)
    for column, found in zip(values.T, ours, strict=True):
        other = stats.bootstrap((column,), np.mean, method="percentile", n_resamples=20_000, rng=1)
        assert found.mean == pytest.approx(column.mean())
        assert found.interval.low == pytest.approx(other.confidence_interval.low, abs=0.004)
        assert found.interval.high == pytest.approx(other.confidence_interval.high, abs=0.004)


def test_the_randomisation_test_agrees_with_scipy():
    change = np.random.default_rng(4).normal(0.08, 0.3, size=50)
    theirs = stats.permutation_test((change,), np.sum, permutation_type="samples", n_resamples=20_000, rng=1)
    assert randomisation(change[:, None], resamples=20_000)[0] == pytest.approx(theirs.pvalue, abs=0.012)


def test_the_randomisation_test_agrees_with_full_enumeration_on_six_queries():
    change = np.array([0.5, 0.25, 0.25, -0.1, 0.4, 0.3])
    signs = np.array(np.meshgrid(*[[1, -1]] * 6)).reshape(6, -1).T
    exact = (np.abs(signs @ change) >= abs(change.sum()) - 1e-9).mean()
    assert randomisation(change[:, None], resamples=40_000)[0] == pytest.approx(exact, abs=0.01)


def test_one_query_has_a_mean_and_no_interval():
    assert figure(np.array([0.5])).interval is None
    assert figure(np.array([])).mean == 0


def test_nothing_changed_is_no_evidence_of_a_change():
    same = difference(np.ones(5), np.ones(5))
    assert (same.p_value, same.helped, same.hurt, same.same) == (1.0, 0, 0, 5)


def test_runs_of_different_length_cannot_be_paired():
    with pytest.raises(ValueError, match="3 and 2 queries cannot be paired"):
        difference(np.ones(3), np.ones(2))
