"""What the text tower learns from: passages with a title, and the questions that they answer."""

import gzip
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymupdf

from domain.errors import UsageError


@dataclass(frozen=True, slots=True)
class Passage:
    """A titled text; `source` names the collection that it is from."""

    id: str
    source: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Question:
    """A question, the id of the passage that answers it, and answers that stand in it, where known."""

    text: str
    passage: str
    answers: tuple[str, ...]


def read_passages(directory: Path, *, languages: frozenset[str]) -> list[Passage]:
    """Read `contexts/*.jsonl.gz` in these languages, tables line by line as a text layer would give them."""
    return [
        Passage(str(line["id"]), source, str(line.get("title", "")), _flat(line))
        for source, line in _lines(directory / "contexts")
        if line["lang"] in languages
    ]


def read_questions(directory: Path, *, languages: frozenset[str]) -> list[Question]:
    """Read `pairs/*.jsonl.gz` in these languages."""
    return [
        Question(str(line["q"]), str(line["ctx"]), tuple(map(str, line.get("a", ()))))
        for _, line in _lines(directory / "pairs")
        if line["lang"] in languages
    ]


def read_documents(directories: Sequence[Path]) -> list[Passage]:
    """Read the text layer of every page of every PDF; the title is the file's name."""
    passages: list[Passage] = []
    for path in sorted(path for directory in directories for path in directory.glob("*.pdf")):
        with pymupdf.open(path) as document:
            passages += [
                Passage(f"{path.stem}#{number}", path.stem, path.stem, page.get_text("text"))
                for number, page in enumerate(document)
            ]
    return passages


def row_questions(passages: Sequence[Passage], *, a_page: int, seed: int) -> list[Question]:
    """Ask for rows of tables in words made from the row's label and the document's title.

    A row is a line of words that two or more lines of figures follow, as text layers of filings give it.
    """
    chance = random.Random(seed)
    asked: list[Question] = []
    for passage in passages:
        labels = row_labels(passage.text)
        for label in chance.sample(labels, min(a_page, len(labels))):
            form = chance.choice(_FORMS)
            asked.append(
                Question(form.format(row=label.lower(), title=_spoken(passage.title)), passage.id, ())
            )
    return asked


_FORMS = (
    "How much was {row} according to {title}?",
    "{title}: what is the figure for {row}?",
    "Using {title}, find {row}.",
    "What does {title} report as {row}?",
    "By how much did {row} change in {title}?",
)


def row_labels(text: str) -> list[str]:
    """Lines of words that two or more lines of figures follow: how text layers give a row of a table."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    figures = [_is_figure(line) for line in lines]
    return [
        line.rstrip(".: ")
        for line, now, after, later in zip(lines, figures, figures[1:], figures[2:], strict=False)
        if not now and after and later and 2 <= len(line.split()) <= 9 and line[0].isalpha()
    ]


def _is_figure(line: str) -> bool:
    bare = line.strip("$()%—-– ").replace(",", "").replace(".", "")
    return not bare or bare.isdigit()


def _spoken(name: str) -> str:
    return " ".join(name.replace("_", " ").replace("-", " ").split())


def _flat(line: Mapping[str, Any]) -> str:
    rows = "\n".join("\n".join(map(str, row)) for row in line.get("table") or ())
    text = str(line.get("text") or line.get("intro") or "").replace("@@TABLE@@", "")
    return "\n".join(part for part in (str(line.get("section") or ""), text, rows) if part)


def _lines(directory: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    paths = sorted(directory.glob("*.jsonl.gz"))
    if not paths:
        raise UsageError(f"{directory} holds no *.jsonl.gz; name a directory with contexts/ and pairs/")
    for path in paths:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for text in file:
                yield path.name.removesuffix(".jsonl.gz"), json.loads(text)
