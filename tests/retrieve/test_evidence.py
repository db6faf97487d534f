"""Evidence: which place answered which word."""

import numpy as np
import pytest

from domain.errors import UsageError
from domain.page import Box
from retrieve.encoder import Vectors
from retrieve.evidence import heat_map, hottest

LEFT, RIGHT = [0, 0, 0.5, 1], [0.5, 0, 1, 1]
PAGE = Vectors(
    np.array([[1, 0], [0, 1], [0.6, 0.8]], dtype=np.float32),
    boxes=np.array([LEFT, RIGHT, RIGHT], dtype=np.float32),
)
ASKED = Vectors(
    np.eye(2, dtype=np.float32), weights=np.array([1, 0.5], dtype=np.float32), labels=("cat", "dog")
)


def test_places_come_hottest_first_with_the_word_that_they_answer() -> None:
    first, second = hottest(ASKED, PAGE)
    assert (first.box, first.token, first.similarity) == (Box(0, 0, 0.5, 1), "cat", 1.0)
    assert (second.box, second.token) == (Box(0.5, 0, 1, 1), "cat")
    assert second.similarity == pytest.approx(0.6)
    assert hottest(ASKED, PAGE, limit=1) == (first,)


def test_tokens_without_labels_are_numbered_from_one() -> None:
    assert hottest(Vectors(ASKED.rows), PAGE)[0].token in {"1", "2"}


def test_the_heat_map_is_hottest_where_the_best_vector_looks() -> None:
    heat = heat_map(ASKED, PAGE, rows=2, columns=4)
    assert heat.tolist() == [[1, 1, pytest.approx(0.6), pytest.approx(0.6)]] * 2


def test_a_page_without_boxes_or_vectors_has_no_evidence() -> None:
    bare = Vectors(PAGE.rows)
    empty = Vectors(PAGE.rows[:0], boxes=PAGE.boxes[:0])
    for page in (bare, empty):
        assert hottest(ASKED, page) == ()
        assert not heat_map(ASKED, page).any()


def test_vectors_of_another_width_are_refused() -> None:
    with pytest.raises(UsageError, match="cannot compare"):
        hottest(Vectors(np.ones((1, 3), dtype=np.float32)), PAGE)
