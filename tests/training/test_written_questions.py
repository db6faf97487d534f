"""The questions and documents that ship for training fit together."""

from pathlib import Path

import training
from training.texts import written
from training.written_documents import read_document

FOLDER = Path(training.__file__).parent


def test_every_invented_document_is_asked_about_and_every_question_about_one_names_its_pages() -> None:
    pages = {file.stem: len(read_document(file).pages) for file in (FOLDER / "documents").glob("*.html")}
    asked = written(FOLDER / "questions" / "written.jsonl")
    assert set(pages) <= {one.document for one in asked}
    for one in asked:
        assert one.pages
        assert all(0 <= page < pages.get(one.document, 10_000) for page in one.pages), one
    assert len({one.text.casefold() for one in asked}) == len(asked)
