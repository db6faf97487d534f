"""Training text: contexts, question pairs, and a stream of words to set on pages."""

import gzip
import json
import math
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from domain import words
from domain.errors import UsageError


@dataclass(frozen=True, slots=True)
class Context:
    """A passage or a table, with the title under which it stood."""

    id: str
    title: str
    text: str
    table: tuple[tuple[str, ...], ...]

    @property
    def everything(self) -> str:
        """Title, text and cells in one string."""
        return " ".join((self.title, self.text, *(cell for row in self.table for cell in row)))


@dataclass(frozen=True, slots=True)
class Pair:
    """A question and the id of the context that answers it."""

    question: str
    context: str
    split: str


@dataclass(frozen=True, slots=True)
class Written:
    """A question that somebody wrote about pages of a document, which count from 0."""

    text: str
    document: str
    pages: tuple[int, ...]


def written(file: Path) -> list[Written]:
    """Read JSON lines of `text`, `doc` and `pages`.

    Raises:
        UsageError: the file cannot be read; names it and the line.
    """
    try:
        lines = file.read_text().splitlines()
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error}") from error
    return [_written(line, f"{file}, line {number}") for number, line in enumerate(lines, start=1)]


def _written(line: str, place: str) -> Written:
    try:
        row = json.loads(line)
        return Written(str(row["text"]), str(row["doc"]), tuple(map(int, row["pages"])))
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{place}, is no question with `text`, `doc` and `pages`: {error!r}") from error


def contexts(directory: Path, *, languages: frozenset[str] = frozenset({"en"})) -> list[Context]:
    """Read `contexts/*.jsonl.gz`.

    Raises:
        UsageError: there is none.
    """
    found = [
        Context(
            row["id"], row.get("title", ""), row.get("text", "") or "",
            tuple(tuple(str(cell) for cell in line) for line in row.get("table") or ()),
        )
        for row in _rows(directory / "contexts")
        if row["lang"] in languages
    ]  # fmt: skip
    if not found:
        raise UsageError(f"no training text in {directory}; expected contexts/*.jsonl.gz")
    return found


def pairs(directory: Path, *, languages: frozenset[str] = frozenset({"en"})) -> list[Pair]:
    """Read `pairs/*.jsonl.gz`."""
    return [
        Pair(row["q"], row["ctx"], row["split"])
        for row in _rows(directory / "pairs")
        if row["lang"] in languages
    ]


def invented(seed: int, count: int = 200) -> list[Context]:
    """Passages of invented words, for runs without any text."""
    rng = random.Random(seed)
    parts = [first + second for first in "bdfgklmnprstv" for second in "aeiou"]
    vocabulary = ["".join(rng.choices(parts, k=rng.randint(1, 4))) for _ in range(40)]
    return [
        Context(f"invented-{number}", rng.choice(vocabulary), " ".join(rng.choices(vocabulary, k=80)), ())
        for number in range(count)
    ]


def _rows(directory: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(directory.glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            yield from (json.loads(line) for line in lines)


def document_frequencies(texts: Iterator[str]) -> tuple[Counter[str], int]:
    """In how many texts each word stands, and how many texts there were."""
    counts: Counter[str] = Counter()
    total = 0
    for text in texts:
        counts.update(set(words.split(text)))
        total += 1
    return counts, total


def rarity(count: int, total: int) -> float:
    """A word's inverse document frequency, scaled so that 1 means never seen and 0 everywhere."""
    return max(0.0, math.log((total + 1) / (count + 1)) / math.log(total + 1))


def odd_word(rng: random.Random) -> str:
    """A number, code or letter string that no vocabulary holds."""
    kind = rng.random()
    if kind < 0.3:
        number = rng.randrange(10 ** rng.randint(1, 7))
        return rng.choice([f"{number:,}", str(number), f"${number:,}", f"({number:,})"])
    if kind < 0.5:
        return rng.choice(["{:.1f}", "{:.2f}", "${:.2f}", "{:.1f}%", "{:,.2f}"]).format(
            rng.random() * 10 ** rng.randint(0, 5)
        )
    if kind < 0.6:
        return str(rng.randint(1900, 2050))
    letters = "abcdefghijklmnopqrstuvwxyz"
    if kind < 0.85:
        word = "".join(rng.choices(letters, k=rng.randint(2, 12)))
        return rng.choice([word, word.upper(), word.title()])
    return "".join(rng.choices(letters.upper() + "0123456789-", k=rng.randint(3, 9)))


def mutated(word: str, rng: random.Random) -> str:
    """The word with one letter changed, dropped, doubled or swapped: the nearest wrong reading."""
    place = rng.randrange(len(word))
    letters = "0123456789" if word[place].isdigit() else "abcdefghijklmnopqrstuvwxyz"
    kind = rng.random()
    if kind < 0.6 or len(word) < 3:
        return word[:place] + rng.choice(letters) + word[place + 1 :]
    if kind < 0.75:
        return word[:place] + word[place + 1 :]
    if kind < 0.9:
        return word[:place] + rng.choice(letters) + word[place:]
    other = min(place + 1, len(word) - 1)
    swapped = list(word)
    swapped[place], swapped[other] = swapped[other], swapped[place]
    return "".join(swapped)
