"""Which questions belong together: by document, by text layer, by any field with few values."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evaluation.questions import Question

MOST_VALUES = 12


@dataclass(frozen=True, slots=True)
class Group:
    """The questions (by their place in the list) that share a value of a field."""

    field: str
    value: str
    places: tuple[int, ...]


def groups(questions: Sequence[Question], extra: Mapping[str, Sequence[str]]) -> tuple[Group, ...]:
    """Group questions by `doc`, by `extra` fields, and by every field with 2 to `MOST_VALUES` values.

    A field that holds a list puts its question into each of its values' groups. A field whose values are
    nearly all different, such as an answer, makes no groups.

    Args:
        questions: in the order of the figures.
        extra: fields that the questions do not carry, one value a question.
    """
    columns: dict[str, list[tuple[str, ...]]] = {}
    for name in sorted({key for question in questions for key in question.fields}):
        columns[name] = [_values(question.fields.get(name)) for question in questions]
    columns |= {name: [(value,) for value in values] for name, values in extra.items()}
    return tuple(group for name, column in columns.items() for group in _groups(name, column))


def _groups(name: str, column: Sequence[tuple[str, ...]]) -> list[Group]:
    places: dict[str, list[int]] = defaultdict(list)
    for place, values in enumerate(column):
        for value in values:
            places[value].append(place)
    if len(places) < 2 or (name != "doc" and len(places) > min(MOST_VALUES, len(column) / 2)):
        return []
    return [Group(name, value, tuple(found)) for value, found in sorted(places.items())]


def _values(value: Any) -> tuple[str, ...]:
    if isinstance(value, bool):
        return ("yes" if value else "no",)
    if isinstance(value, str | int):
        return (str(value),)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(dict.fromkeys(value))
    return ()
