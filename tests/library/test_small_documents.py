"""Small documents share a batch; none of them keeps or harms the others."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from domain.errors import DocumentError, UsageError
from ingest.render import Renderer
from library.arms import PageContent, VisualArm
from library.library import Library
from library.models import Models
from library.settings import Settings
from library.stores import Stores
from tests.library.conftest import SETTINGS
from tests.pdfs import Sheet, write_pdf


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pages the encoder is given, each time."""
    sizes: list[int] = []
    add = VisualArm.add

    def counted(self: VisualArm, pages: Sequence[PageContent]) -> None:
        sizes.append(len(pages))
        add(self, pages)

    monkeypatch.setattr(VisualArm, "add", counted)
    return sizes


def documents(folder: Path, *pages: int) -> list[Path]:
    return [
        write_pdf(folder / f"{at}.pdf", [Sheet("red", f"rose {at} {n}") for n in range(count)])
        for at, count in enumerate(pages)
    ]


@pytest.mark.parametrize(
    ("pages", "together"),
    [((1, 1, 3, 1, 1), [2, 4, 1]), ((1, 6, 1), [1, 4, 3]), ((4, 4), [4, 4]), ((2, 2, 2), [4, 2])],
)
def test_documents_that_fit_together_are_embedded_together(
    tmp_path: Path, batches: list[int], pages: tuple[int, ...], together: list[int]
) -> None:
    with Library.open(tmp_path / "library", replace(SETTINGS, batch_pages=4)) as library:
        report = library.index(documents(tmp_path, *pages))
        assert batches == together
        assert (report.documents, report.pages) == (len(pages), sum(pages))
        assert {info.status for info in library.documents()} == {"ready"}


def test_every_document_of_a_batch_has_a_step(library: Library, tmp_path: Path) -> None:
    job = library.accept(documents(tmp_path, 1, 1, 1))
    steps = [(step.document, step.pages_done) for step in library.process(job.id)]
    assert steps[:3] == [("0.pdf", 1), ("1.pdf", 2), ("2.pdf", 3)]  # words by OCR follow


def test_a_batch_that_was_cut_off_is_taken_up_again(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = library.accept(documents(tmp_path, 1, 1, 1))
    with monkeypatch.context() as broken:
        broken.setattr(VisualArm, "add", lambda *_: (_ for _ in ()).throw(RuntimeError("cut off")))
        with pytest.raises(RuntimeError, match="cut off"):
            list(library.process(job.id))
    assert library.search("red").hits == ()
    list(library.process(job.id))
    assert {hit.document for hit in library.search("red").hits} == {"0", "1", "2"}
    assert library.job(job.id).status == "done"


def test_one_that_can_no_longer_be_read_fails_alone(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = library.accept(documents(tmp_path, 1, 1, 1, 1))
    pages = Renderer.pages

    def some(self: Renderer, path: Path, numbers: list[int]):
        if path.name == "1.pdf":
            raise DocumentError("unreadable", "1.pdf went away")
        yield from pages(self, path, numbers)

    monkeypatch.setattr(Renderer, "pages", some)
    list(library.process(job.id))
    states = {info.name: info.status for info in library.documents()}
    assert states == {"0.pdf": "ready", "1.pdf": "failed", "2.pdf": "ready", "3.pdf": "ready"}
    assert {hit.document for hit in library.search("red").hits} == {"0", "2", "3"}


def test_how_many_pages_make_a_batch_follows_the_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Library.open(tmp_path / "library", replace(SETTINGS, batch_pages=0)) as library:
        assert library._stores.batch_pages == 8
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    stores = Stores(tmp_path / "library", replace(SETTINGS, batch_pages=0), Models(SETTINGS))
    assert stores.batch_pages == 64
    stores.catalog.close()


@pytest.mark.parametrize(("cores", "readers"), [(1, 2), (6, 6), (64, 16)])
def test_as_many_processes_read_as_there_are_cores(
    monkeypatch: pytest.MonkeyPatch, cores: int, readers: int
) -> None:
    monkeypatch.setattr("library.settings.cores", lambda: cores)
    assert Settings().readers == readers
    assert Settings(workers=3).readers == 3
    with pytest.raises(UsageError, match="workers must be at least 0, not -1"):
        Settings(workers=-1)
