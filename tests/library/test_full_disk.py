"""A full disk is called a full disk, wherever it is met, and searching goes on."""

import errno
import logging
import shutil
from pathlib import Path

import pytest
import sqlalchemy as sa
import typer

from domain.errors import FullDiskError, StoreError
from library.catalog import Catalog, NewDocument
from library.searching import save_costs
from recto.console import FAILED, reported
from rerank.budget import CostModel

FULL = OSError(errno.ENOSPC, "No space left on device")


def document(number: int) -> NewDocument:
    name = f"{number:064x}"
    return NewDocument(name, "all", name, name, 1, "pdf", "", 200, name, fields={})


def fill(catalog: Catalog) -> None:
    for number in range(1, 100):
        catalog.add_document(document(number))


def test_a_catalogue_that_cannot_grow_says_why_and_keeps_what_it_has(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "catalog.sqlite")
    catalog.add_document(document(0))
    with catalog.begin() as session:
        session.execute(
            sa.text("PRAGMA max_page_count = 1")
        )  # SQLite takes the file's size where that is more
    with pytest.raises(FullDiskError, match="make room"):
        fill(catalog)
    assert catalog.collections() == ("all",)
    assert catalog.document(document(0).id).pages == 200
    catalog.close()


def test_a_catalogue_that_cannot_be_opened_for_want_of_room_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "catalog.sqlite"
    path.write_bytes(b"SQLite format 3\0" + b"\1" * 4000)
    with pytest.raises(StoreError, match="restore it from a backup"):
        Catalog(path)
    full = shutil.disk_usage(tmp_path)._replace(free=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: full)
    with pytest.raises(FullDiskError):
        Catalog(path)


def test_costs_that_cannot_be_kept_stop_no_search(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        save_costs(tmp_path / "gone", CostModel())
    assert "what pairs cost is not kept" in caplog.text


def test_the_command_line_says_it_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended, reported():
        raise FULL
    assert ended.value.exit_code == FAILED
    assert "the disk is full" in capsys.readouterr().err
    with pytest.raises(OSError, match="Permission"), reported():
        raise OSError(errno.EACCES, "Permission denied")
