"""The questions in plain words that stand in the repository, against the documents that they are about."""

from pathlib import Path

import pymupdf
import pytest

from evaluation.folder import read_files, resolve

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
QUESTIONS = ROOT / "benchmarks" / "questions" / "plain_words.jsonl"


@pytest.mark.skipif(not DATA.is_dir(), reason="the documents are not part of the repository")
def test_every_question_in_plain_words_has_a_page_that_exists() -> None:
    pages = {}
    for path in (path for name in ("train_pdfs", "demo_pdfs") for path in (DATA / name).glob("*.pdf")):
        with pymupdf.open(path) as document:
            pages[path.stem] = document.page_count
    found = resolve(read_files(QUESTIONS), pages, bound=True)
    assert not found.left_out
    assert {question.doc for question in found.questions} == set(pages)
    assert all(1 <= len(found.qrels[question.id]) <= 4 for question in found.questions)
