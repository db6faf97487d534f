"""Reads questions (`queries.jsonl`) and judgements (`qrels.tsv`), and says what is wrong with them."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from evaluation.problems import Problem

HEADER: Final = ("query-id", "corpus-id", "score")

Qrels = Mapping[str, Mapping[str, int]]
"""Query id to corpus id to graded relevance; 0 and below is not relevant."""


@dataclass(frozen=True, slots=True)
class GoldBox:
    """Where on a page the answer stands: in points, origin at the top left, page index from 0."""

    page: int
    width_pt: float
    height_pt: float
    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True, slots=True)
class Question:
    """A question as its line gave it.

    Attributes:
        doc: the document that it is bound to, by its file's name without `.pdf`, if any.
        fields: every other field, for slices.
        boxes: evidence boxes, by the document `doc`.
        line: where it stands in the file, from 1.
    """

    id: str
    text: str
    doc: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict, compare=False)
    boxes: tuple[GoldBox, ...] = ()
    line: int = 0


@dataclass(frozen=True, slots=True)
class Judgement:
    """One line of qrels."""

    query: str
    corpus_id: str
    score: int
    line: int


def split_corpus_id(corpus_id: str) -> tuple[str, int] | None:
    """Take `<document>#<page index from 0>` apart; None where it is something else."""
    doc, _, index = corpus_id.rpartition("#")
    return (doc, int(index)) if doc and index.isascii() and index.isdecimal() else None


def read_questions(path: Path) -> tuple[tuple[Question, ...], list[Problem]]:
    """Read `queries.jsonl`: one JSON object a line with `_id` and `text`, and whatever else.

    Returns:
        The questions that are sound, in the file's order, and what is wrong with the others.
    """
    questions: dict[str, Question] = {}
    problems: list[Problem] = []
    for line, text in _lines(path, problems):
        try:
            found = _question(line, text)
        except ValueError as error:
            problems.append(Problem("schema", path, line, str(error)))
            continue
        if found.id in questions:
            before = questions[found.id].line
            problems.append(
                Problem("duplicate", path, line, f"query {found.id!r} stands on line {before} already")
            )
        else:
            questions[found.id] = found
    if not questions and not problems:
        problems.append(Problem("schema", path, 1, "no questions; give one JSON object a line"))
    return tuple(questions.values()), problems


def read_qrels(path: Path) -> tuple[tuple[Judgement, ...], list[Problem]]:
    """Read `qrels.tsv`: a header `query-id corpus-id score`, then tab-separated rows.

    Returns:
        The sound rows in the file's order, and what is wrong with the others.
    """
    problems: list[Problem] = []
    rows = list(_lines(path, problems))
    if problems:
        return (), problems
    if not rows or tuple(rows[0][1].split("\t")) != HEADER:
        line, first = rows[0] if rows else (1, "")
        what = f"the header is {first!r}; expected {' '.join(HEADER)!r}, separated by tabs"
        return (), [Problem("schema", path, line, what)]
    found: dict[tuple[str, str], Judgement] = {}
    for line, text in rows[1:]:
        row = _judgement(path, line, text)
        if isinstance(row, Problem):
            problems.append(row)
        elif (row.query, row.corpus_id) in found:
            before = found[row.query, row.corpus_id].line
            what = f"query {row.query!r} and page {row.corpus_id!r} stand on line {before} already"
            problems.append(Problem("duplicate", path, line, what))
        else:
            found[row.query, row.corpus_id] = row
    return tuple(found.values()), problems


def _lines(path: Path, problems: list[Problem]) -> Iterator[tuple[int, str]]:
    """Give the lines that are not blank, numbered from 1; stop at bytes that are not UTF-8."""
    try:
        data = path.read_bytes()
    except OSError as error:
        problems.append(Problem("schema", path, 1, f"cannot be read: {error.strerror}"))
        return
    for line, raw in enumerate(data.removeprefix(b"\xef\xbb\xbf").splitlines(), start=1):
        try:
            text = raw.decode()
        except UnicodeDecodeError:
            problems.append(Problem("schema", path, line, "not UTF-8; save the file as UTF-8"))
            return
        if text.strip():
            yield line, text


def _question(line: int, text: str) -> Question:
    """Read one line, or say in a ValueError what is wrong with it."""
    value = _object(text)
    name, question, doc = value.get("_id"), value.get("text"), value.get("doc")
    if not isinstance(name, str) or not name or any(c.isspace() for c in name):
        hint = "; this looks like another version of the format" if {"id", "query-id"} & value.keys() else ""
        raise ValueError(f"_id must be text without white space, not {name!r}{hint}")
    if not isinstance(question, str) or not question.strip():
        raise ValueError(f"query {name!r}: text must hold the question, not {question!r}")
    if doc is not None and not isinstance(doc, str):
        raise ValueError(f"query {name!r}: doc must be a document's name, not {doc!r}")
    boxes = _boxes(value.get("layout"))
    if boxes is None:
        what = "layout must be a list of page, page_size [w, h] and bbox [x0, y0, x1, y1]"
        raise ValueError(f"query {name!r}: {what}")
    fields = {key: v for key, v in value.items() if key not in {"_id", "text", "layout"}}
    return Question(name, question, doc, fields, boxes, line)


def _object(text: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        example = '{"_id": "q1", "text": "..."}'
        raise ValueError(f"not JSON; give one object a line, such as {example}") from None
    if not isinstance(value, dict):
        raise ValueError(f"a {type(value).__name__}; expected an object with _id and text")
    return value


def _boxes(layout: object) -> tuple[GoldBox, ...] | None:
    if layout is None:
        return ()
    if not isinstance(layout, list):
        return None
    boxes = tuple(_box(entry) for entry in layout)
    return None if None in boxes else tuple(box for box in boxes if box is not None)


def _box(entry: object) -> GoldBox | None:
    if not isinstance(entry, dict):
        return None
    page: Any = entry.get("page")
    size: Any = entry.get("page_size")
    box: Any = entry.get("bbox")
    if not isinstance(page, int) or page < 0 or not _numbers(size, 2) or not _numbers(box, 4):
        return None
    width, height = size
    x0, y0, x1, y1 = box
    return GoldBox(page, width, height, x0, y0, x1, y1) if width > 0 and height > 0 else None


def _numbers(value: Any, count: int) -> bool:
    return (
        isinstance(value, list)
        and len(value) == count
        and all(isinstance(x, int | float) and not isinstance(x, bool) and math.isfinite(x) for x in value)
    )


def _judgement(path: Path, line: int, text: str) -> Judgement | Problem:
    cells = text.split("\t")
    if len(cells) != len(HEADER):
        what = f"{len(cells)} columns; expected {' '.join(HEADER)!r}, separated by tabs"
        return Problem("schema", path, line, what)
    query, corpus_id, score = (cell.strip() for cell in cells)
    if not score.removeprefix("-").isascii() or not score.removeprefix("-").isdecimal():
        return Problem("schema", path, line, f"score must be a whole number, not {score!r}")
    if not query or not corpus_id:
        return Problem("schema", path, line, "query-id and corpus-id must not be empty")
    return Judgement(query, corpus_id, int(score), line)
