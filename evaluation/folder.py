"""One's own questions as files: `pdfs/*.pdf`, `queries.jsonl`, `qrels.tsv`; checked before anything runs."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from domain.errors import UsageError
from evaluation.problems import Problem, settle
from evaluation.questions import Judgement, Qrels, Question, read_qrels, read_questions, split_corpus_id
from library.sources import SUFFIXES, sha256


@dataclass(frozen=True, slots=True)
class Files:
    """A benchmark's files as they were read.

    Attributes:
        name: what the report calls it.
        queries: the path of the questions; `qrels` that of the judgements.
        pdfs: every PDF by its name without `.pdf`; empty for questions about a stored collection.
        problems: what was wrong so far.
        revision: changes when any byte of the files does.
    """

    name: str
    queries: Path
    qrels: Path
    questions: tuple[Question, ...]
    judgements: tuple[Judgement, ...]
    pdfs: Mapping[str, Path]
    hashes: Mapping[str, str]
    problems: tuple[Problem, ...]
    revision: str


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Questions that can be scored, and what was left out."""

    questions: tuple[Question, ...]
    qrels: Qrels
    left_out: Mapping[str, int]


def read_folder(directory: Path) -> Files:
    """Read a folder of one's own questions; without `pdfs/`, the PDFs may lie beside the questions.

    Raises:
        UsageError: there is no such folder, or it holds no PDFs.
    """
    if not directory.is_dir():
        raise UsageError(f"{directory} is not a folder; give one with pdfs/, queries.jsonl and qrels.tsv")
    inside = directory / "pdfs"
    place, suffixes = (inside, SUFFIXES) if inside.is_dir() else (directory, {".pdf"})
    pdfs = {p.stem: p for p in sorted(place.iterdir()) if p.suffix.lower() in suffixes}
    if not pdfs:
        raise UsageError(f"{directory / 'pdfs'} holds no PDF; put the documents there")
    return _read(directory.resolve().name, directory / "queries.jsonl", directory / "qrels.tsv", pdfs)


def read_files(queries: Path, qrels: Path | None = None) -> Files:
    """Read questions about a stored collection; `qrels.tsv` beside the questions unless given."""
    return _read(queries.stem, queries, qrels or queries.with_name("qrels.tsv"), {})


def _read(name: str, queries: Path, qrels: Path, pdfs: Mapping[str, Path]) -> Files:
    questions, wrong = read_questions(queries)
    judgements, also_wrong = read_qrels(qrels)
    hashes = {doc: sha256(path) for doc, path in pdfs.items()}
    whole = hashlib.sha256()
    for part, digest in sorted(hashes.items()):
        whole.update(f"{part}\0{digest}\n".encode())
    for path in (queries, qrels):
        whole.update(path.read_bytes() if path.is_file() else b"")
    problems = (*wrong, *also_wrong)
    return Files(name, queries, qrels, questions, judgements, pdfs, hashes, problems, whole.hexdigest()[:16])


def check(files: Files, *, bound: bool = False, allow_missing: bool = False) -> None:
    """Refuse what can be seen to be wrong before any document is opened.

    Raises:
        UsageError: something is wrong; each finding with its file and line.
    """
    resolve(files, dict.fromkeys(files.pdfs), bound=bound, allow_missing=allow_missing)


def resolve(
    files: Files,
    pages: Mapping[str, int | None],
    *,
    bound: bool = False,
    allow_missing: bool = False,
) -> Benchmark:
    """Keep the questions and judgements that can be scored, or name those that cannot.

    Args:
        files: as they were read.
        pages: the documents that there are, by name, and how many pages each has (None: not known yet).
        bound: each question must name its document, `--within-document`.
        allow_missing: leave out and count what is missing instead of refusing.

    Raises:
        UsageError: something is wrong; each finding with its file and line.
    """
    if any(problem.kind == "schema" for problem in files.problems):
        settle(files.problems, allow_missing=allow_missing)  # what cannot be read hides what else is there
    problems = list(files.problems)
    known = {question.id for question in files.questions}
    qrels: dict[str, dict[str, int]] = {}
    for row in files.judgements:
        problem = _unknown(files, row, known, pages)
        if problem:
            problems.append(problem)
        else:
            qrels.setdefault(row.query, {})[row.corpus_id] = row.score
    kept = []
    for question in files.questions:
        problem = _unusable(files, question, qrels, pages if bound else None)
        if problem:
            problems.append(problem)
        else:
            kept.append(question)
    left_out = settle(problems, allow_missing=allow_missing)
    if not kept:
        raise UsageError(f"{files.queries}: no question is left to evaluate")
    return Benchmark(tuple(kept), {q.id: qrels[q.id] for q in kept}, left_out)


def _unknown(
    files: Files, row: Judgement, known: set[str], pages: Mapping[str, int | None]
) -> Problem | None:
    at = files.qrels, row.line
    if row.query not in known:
        return Problem("unknown_query", *at, f"query {row.query!r} is not in {files.queries.name}")
    parts = split_corpus_id(row.corpus_id)
    if parts is None:
        what = f"{row.corpus_id!r} is not <pdf name without .pdf>#<page index from 0>"
        return Problem("schema", *at, what)
    doc, index = parts
    if doc not in pages:
        where = (
            f"no pdfs/{doc}.pdf that can be read" if files.pdfs else f"no document {doc!r} in the collection"
        )
        return Problem("missing_document", *at, f"page {row.corpus_id!r}: {where}")
    count = pages[doc]
    if count is not None and index >= count:
        last = f"{doc} has {count} pages, the last is #{count - 1}"
        return Problem("unknown_page", *at, f"page {row.corpus_id!r} does not exist: {last}")
    return None


def _unusable(
    files: Files,
    question: Question,
    qrels: Mapping[str, Mapping[str, int]],
    documents: Mapping[str, int | None] | None,
) -> Problem | None:
    at = files.queries, question.line
    if not any(score > 0 for score in qrels.get(question.id, {}).values()):
        what = f"query {question.id!r} has no relevant page in {files.qrels.name}"
        return Problem("no_positive", *at, what)
    if documents is not None and question.doc not in documents:
        what = f"query {question.id!r} names document {question.doc!r}, which is not there"
        if question.doc is None:
            what = f"query {question.id!r} has no `doc`, the document to rank within"
        return Problem("missing_document", *at, what)
    return None
