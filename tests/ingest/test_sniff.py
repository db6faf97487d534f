import os
from pathlib import Path

import pytest

from domain.errors import DocumentError
from ingest.limits import Limits
from ingest.sniff import sniff


def refused(path: Path, limits: Limits | None = None) -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        sniff(path, limits or Limits())
    return caught.value


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"%PDF-1.4\n", "pdf"),
        (b"junk before it\n%PDF-1.7\n", "pdf"),
        (b"\x89PNG\r\n\x1a\n", "image"),
        (b"\xff\xd8\xff\xe0", "image"),
        (b"II*\x00", "image"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image"),
    ],
)
def test_the_content_tells_the_kind_whatever_the_name_says(head, kind, saved):
    assert sniff(saved(head, "report.txt"), Limits()).kind == kind


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b"<!DOCTYPE html><html>", "HTML"),
        (b"PK\x03\x04", "Office"),
        (b"\xd0\xcf\x11\xe0", "Office"),
        (b"%!PS-Adobe-3.0", "ps2pdf"),
        (b"GIF89a", "PNG"),
        (b"just some words", "text file"),
        (b"\x00\x01\x02\x03", "unknown type"),
    ],
)
def test_what_is_neither_is_refused_by_what_it_looks_like(head, said, saved):
    error = refused(saved(head, "report.pdf"))
    assert error.code == "unsupported"
    assert said in str(error)
    assert "report.pdf" in str(error)


def test_a_file_without_bytes_is_empty(saved):
    assert refused(saved(b"")).code == "empty"


def test_a_missing_file_and_a_folder_are_unreadable_and_named(tmp_path):
    missing, folder = refused(tmp_path / "absent.pdf"), refused(tmp_path)
    assert (missing.code, folder.code) == ("unreadable", "unreadable")
    assert "absent.pdf does not exist" in str(missing)
    assert "is a folder" in str(folder)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_without_permission_is_unreadable(saved):
    path = saved(b"%PDF-1.4")
    path.chmod(0)
    assert "permissions" in str(refused(path))


def test_a_pipe_is_refused_at_once_instead_of_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.pdf")
    assert refused(tmp_path / "pipe.pdf").code == "unreadable"


def test_a_path_that_cannot_exist_is_unreadable():
    assert refused(Path("a\0b.pdf")).code == "unreadable"
    assert refused(Path("a" * 5_000)).code == "unreadable"


def test_a_file_over_the_limit_is_too_large(saved):
    error = refused(saved(b"%PDF-1.4" + b" " * 100), Limits(max_bytes=50))
    assert error.code == "too_large"
    assert "108 bytes" in str(error)
