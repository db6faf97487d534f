"""Generations: built beside each other, swapped at once, swapped back."""

from pathlib import Path

import pytest

from domain.errors import StoreError, UsageError
from retrieve.generations import Generations


@pytest.fixture
def generations(tmp_path: Path) -> Generations:
    for name in ("one", "two", "three"):
        (tmp_path / name).mkdir()
    return Generations(tmp_path)


def test_nothing_serves_before_the_first_swap(generations: Generations) -> None:
    assert generations.current() is None
    assert generations.names() == ("one", "three", "two")


def test_a_swap_is_undone_by_a_roll_back_and_redone_by_another(generations: Generations) -> None:
    generations.swap("one")
    generations.swap("two")
    generations.swap("two")
    assert generations.history() == ("two", "one")
    assert generations.roll_back() == "one"
    assert generations.current() == "one"
    assert generations.roll_back() == "two"


def test_rolling_back_needs_an_older_generation(generations: Generations) -> None:
    generations.swap("one")
    with pytest.raises(UsageError, match="no older generation"):
        generations.roll_back()


def test_only_a_generation_that_does_not_serve_is_dropped(generations: Generations) -> None:
    generations.swap("one")
    generations.swap("two")
    with pytest.raises(UsageError, match="serves"):
        generations.drop("two")
    generations.drop("one")
    assert generations.names() == ("three", "two")
    with pytest.raises(UsageError, match="no older"):
        generations.roll_back()


@pytest.mark.parametrize("name", ["", "..", "a/b", "current", "-x", "x\n"])
def test_a_name_that_could_leave_the_directory_is_refused(generations: Generations, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be called"):
        generations.path(name)


def test_a_pointer_to_nothing_or_of_garbage_is_refused(generations: Generations) -> None:
    with pytest.raises(StoreError, match="no generation four"):
        generations.swap("four")
    for text in ("four\n", "", "\xff/..\n"):
        (generations.directory / "current").write_text(text)
        with pytest.raises(StoreError, match="current"):
            generations.current()
