"""nDCG@5 and recall@100 of the lexical arm on questions of one's own, for several boosts.

    .venv/bin/python -m benchmarks.lexical FOLDER [--heading 0 1 2] [--title 1 2 4] [--phrase 0 0.5]

FOLDER is in the layout of `recto evaluate pages`: pdfs/*.pdf, queries.jsonl, qrels.tsv.
"""

import argparse
import json
import math
import tempfile
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path

import pymupdf

from domain.page import page_id
from retrieve.lexical import Boosts, LexicalIndex, LexicalPage

BOOSTS = ("stem", "heading", "caption", "title", "phrase")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    for name in BOOSTS:
        parser.add_argument(f"--{name}", type=float, nargs="+", default=[getattr(Boosts(), name)])
    arguments = parser.parse_args()
    questions = [json.loads(line) for line in (arguments.folder / "queries.jsonl").open()]
    relevant = labels(arguments.folder / "qrels.tsv")
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "lexical"
        index = LexicalIndex.open(directory, writable=True)
        index.add(texts(arguments.folder / "pdfs"))
        index.commit()
        for values in product(*(getattr(arguments, name) for name in BOOSTS)):
            boosts = dict(zip(BOOSTS, values, strict=True))
            chosen = LexicalIndex.open(directory, boosts=Boosts(**boosts))
            told = " ".join(f"{name} {value}" for name, value in boosts.items())
            print(f"{told}:", scores(chosen, questions, relevant))


def texts(folder: Path) -> list[LexicalPage]:
    """Every page of every PDF; its document's title is the file's name."""
    found = []
    for path in sorted(folder.glob("*.pdf")):
        with pymupdf.open(path) as document:
            found += [
                LexicalPage(page_id(path.stem, page.number + 1), path.stem, "", page.get_text())
                for page in document
            ]
    return found


def labels(path: Path) -> dict[str, set[str]]:
    """The relevant pages of each question."""
    found: dict[str, set[str]] = {}
    for line in path.read_text().splitlines()[1:]:
        query, page, score = line.split("\t")
        doc, _, number = page.rpartition("#")
        if float(score) > 0:
            found.setdefault(query, set()).add(page_id(doc, int(number) + 1))
    return found


def scores(
    index: LexicalIndex, questions: Sequence[Mapping[str, str]], relevant: Mapping[str, set[str]]
) -> str:
    """Mean nDCG@5 and recall@100 over everything and within each question's document."""
    parts = []
    for name in ("everywhere", "within"):
        gains, recalls = [], []
        for question in questions:
            within = frozenset({question["doc"]}) if name == "within" else None
            hits = [hit.page for hit in index.search(question["text"], k=100, within=within)]
            wanted = relevant[question["_id"]]
            gain = sum(1 / math.log2(at + 2) for at, page in enumerate(hits[:5]) if page in wanted)
            ideal = sum(1 / math.log2(at + 2) for at in range(min(5, len(wanted))))
            gains.append(gain / ideal)
            recalls.append(len(wanted & set(hits)) / len(wanted))
        mean = [sum(values) / len(values) for values in (gains, recalls)]
        parts.append(f"{name} nDCG@5 {mean[0]:.3f} recall@100 {mean[1]:.3f}")
    return ", ".join(parts)


if __name__ == "__main__":
    main()
