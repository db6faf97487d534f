"""Judgements collected while people search, as a folder of questions: `pdfs/`, `queries.jsonl`, `qrels.tsv`."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from domain.errors import NotFoundError, UsageError
from domain.page import document_of
from evaluation.questions import HEADER
from evaluation.report import write_text
from library.library import Library
from library.sources import stem


@dataclass(frozen=True, slots=True)
class Exported:
    """How much was written."""

    questions: int
    judgements: int
    documents: int


def export(library: Library, log: Path, directory: Path) -> Exported:
    """Write a log of judgements as a folder that `recto evaluate pages` reads.

    Each line of the log is a JSON object with `query`, `page_id` and, unless it is a click, `score` (1 when
    absent, 0 for a page that was judged and found irrelevant). The last line about a question and a page
    counts. The documents are copied beside them, so that the folder stands alone.

    Args:
        library: holds the pages.
        log: JSON lines.
        directory: made; must not hold questions yet.

    Raises:
        UsageError: a line is wrong, names a page that is not there, or two documents share a name; names
            file and line. Nothing is written then.
    """
    if (directory / "queries.jsonl").exists():
        raise UsageError(f"{directory} holds questions already; give a new folder")
    judged: dict[str, dict[str, int]] = {}
    documents: dict[str, str] = {}
    for line, text in enumerate(log.read_text(encoding="utf-8").splitlines(), start=1):
        if not text.strip():
            continue
        try:
            query, corpus_id, score, name, document = _judgement(library, text)
            if documents.setdefault(name, document) != document:
                raise UsageError(f"two documents are called {name!r}; rename one")
        except UsageError as error:
            raise UsageError(f"{log}:{line}: {error}") from error
        judged.setdefault(query, {})[corpus_id] = score
    _write(library, directory, judged, documents)
    return Exported(len(judged), sum(map(len, judged.values())), len(documents))


def _judgement(library: Library, text: str) -> tuple[str, str, int, str, str]:
    """The query, corpus id, score, document name and document id of a line."""
    try:
        value: Any = json.loads(text)
    except json.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise UsageError('expected {"query": ..., "page_id": ..., "score": 0 or more}')
    query, page, score = value.get("query"), value.get("page_id"), value.get("score", 1)
    if not isinstance(query, str) or not query.strip():
        raise UsageError(f"query must hold the question, not {query!r}")
    if not isinstance(score, int) or isinstance(score, bool) or score < 0:
        raise UsageError(f"score must be a whole number from 0, not {score!r}")
    name, number = _page(library, page)
    return query.strip(), f"{name}#{number - 1}", score, name, document_of(str(page))


def _page(library: Library, page: object) -> tuple[str, int]:
    try:
        info = library.page(page if isinstance(page, str) else "")
    except (NotFoundError, ValueError) as error:
        raise UsageError(f"there is no page {page!r} in this library") from error
    return info.document, info.number


def _write(
    library: Library, directory: Path, judged: Mapping[str, Mapping[str, int]], documents: Mapping[str, str]
) -> None:
    """Documents first, questions last: a folder with questions is whole."""
    (directory / "pdfs").mkdir(parents=True, exist_ok=True)
    for name, document in documents.items():
        suffix = Path(library.document(document).name).suffix
        with (directory / "pdfs" / f"{stem(name)}{suffix}").open("wb") as file:
            for piece in library.original(document):
                file.write(piece)
    ids = {query: f"q-{hashlib.sha256(query.encode()).hexdigest()[:12]}" for query in judged}
    rows = ["\t".join(HEADER)]
    rows += [f"{ids[q]}\t{page}\t{score}" for q, pages in judged.items() for page, score in pages.items()]
    write_text(directory / "qrels.tsv", "\n".join(rows) + "\n")
    lines = [json.dumps({"_id": ids[query], "text": query}, ensure_ascii=False) for query in judged]
    write_text(directory / "queries.jsonl", "\n".join(lines) + "\n")
