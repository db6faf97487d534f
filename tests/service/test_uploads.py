"""Hostile multipart bodies, names and sizes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from service.problems import ProblemError
from service.settings import ServiceSettings
from service.uploads import Upload, kind_of, receive, safe_name, sweep
from tests.service.samples import pdf

BOUNDARY = "frontier"
KIND = f"multipart/form-data; boundary={BOUNDARY}"
HEAD = b"%PDF-1.7\n"


def part(content: bytes, *, name: str = "files", filename: str | None = "a.pdf") -> bytes:
    shown = "" if filename is None else f'; filename="{filename}"'
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{shown}\r\n\r\n'
    return head.encode() + content + b"\r\n"


def whole(*parts: bytes) -> bytes:
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def take(body: bytes, folder: Path, *, chunk: int = 7, kind: str = KIND, **settings: int) -> Upload:
    async def stream() -> AsyncIterator[bytes]:
        for start in range(0, len(body), chunk):
            yield body[start : start + chunk]

    chosen = ServiceSettings(**settings)  # type: ignore[arg-type]
    return asyncio.run(receive(stream(), kind, folder=folder, settings=chosen))


@given(st.text())
def test_a_name_is_never_a_path(text: str) -> None:
    name = safe_name(text)
    assert name
    assert "/" not in name
    assert "\\" not in name
    assert name not in {".", ".."}
    assert len(name) <= 210
    assert all(ord(c) >= 32 for c in name)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\x\\report.pdf", "report.pdf"),
        ("folder/", "folder"),
        ("a\x00b\u202egnp.pdf", "abgnp.pdf"),
        ("", "document.pdf"),
        ("...", "document.pdf"),
        (".pdf", "pdf"),
    ],
)
def test_paths_and_control_characters_leave_a_name(sent: str, kept: str) -> None:
    assert safe_name(sent) == kept


@pytest.mark.parametrize("chunk", [1, 2, 13, 100_000])
def test_the_bytes_arrive_whole_however_they_are_cut(tmp_path: Path, chunk: int) -> None:
    content = HEAD + bytes(range(256)) * 20 + f"\r\n--{BOUNDARY}x\r\n".encode()
    upload = take(whole(part(content), part(b"value", name="note", filename=None)), tmp_path, chunk=chunk)
    assert upload.files[0].path.read_bytes() == content
    assert upload.fields == {"note": "value"}
    upload.discard()
    assert list(tmp_path.iterdir()) == []


def test_files_lie_under_names_of_our_own(tmp_path: Path) -> None:
    upload = take(whole(part(HEAD, filename="../../evil.pdf")), tmp_path)
    assert upload.files[0].name == "evil.pdf"
    assert upload.files[0].path.name == "000000.pdf"
    assert upload.files[0].path.is_relative_to(tmp_path)


def test_a_file_over_the_cap_is_dropped_and_the_next_one_arrives(tmp_path: Path) -> None:
    upload = take(
        whole(part(HEAD + b"x" * 5000), part(HEAD, filename="b.pdf")), tmp_path, max_file_bytes=1000
    )
    assert [f.refusal.code if f.refusal else None for f in upload.files] == ["too_large", None]
    assert [f.name for f in upload.good] == ["b.pdf"]
    assert len(list(upload.folder.iterdir())) == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"garbage", 400),
        (part(HEAD), 400),
        (whole(part(HEAD))[:-9], 400),
        (whole(part(HEAD, name="other")), 422),
        (whole(*[part(HEAD)] * 4), 413),
        (whole(part(b"x" * 70_000, name="note", filename=None)), 413),
        (f"--{BOUNDARY}\r\n".encode() + b"A: " + b"x" * 100_000, 400),
        (f"--{BOUNDARY}\r\n".encode() + b"A: b\r\n" * 5_000, 400),
    ],
)
def test_a_hostile_body_is_refused_and_leaves_nothing(tmp_path: Path, body: bytes, status: int) -> None:
    with pytest.raises(ProblemError) as caught:
        take(body, tmp_path, chunk=1000, max_files=3)
    assert caught.value.status == status
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "kind", ["application/json", "multipart/form-data", "multipart/mixed; boundary=x", ""]
)
def test_what_is_not_multipart_is_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(ProblemError) as caught:
        take(b"", tmp_path, kind=kind)
    assert caught.value.status == 415


@given(st.binary(max_size=300))
def test_no_body_crashes_the_parser(tmp_path_factory: pytest.TempPathFactory, body: bytes) -> None:
    folder = tmp_path_factory.mktemp("any")
    with suppress(ProblemError):
        take(f"--{BOUNDARY}\r\n".encode() + body, folder, chunk=50).discard()
    assert list(folder.iterdir()) == []


def test_what_a_killed_service_left_is_swept_away(tmp_path: Path) -> None:
    (tmp_path / "uploads" / "old").mkdir(parents=True)
    assert list(sweep(tmp_path).iterdir()) == []


def test_kinds_are_told_by_the_first_bytes() -> None:
    assert kind_of(b"junk before " + HEAD) == ".pdf"
    assert kind_of(b"\x89PNG\r\n\x1a\n") == ".png"
    assert kind_of(b"RIFF0000WEBP") == ".webp"
    assert kind_of(b"MZ") == ""


@pytest.mark.service
def test_an_upload_over_the_limit_is_cut_off_when_it_comes_in_chunks(
    serve: Callable[..., TestClient],
) -> None:
    client = serve(max_upload_bytes=100_000)
    body = whole(part(HEAD + b"x" * 200_000))
    chunks = (body[i : i + 1000] for i in range(0, len(body), 1000))
    answer = client.post("/v1/collections/demo/documents", content=chunks, headers={"content-type": KIND})
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")
    uploads = client.app.state.desk.uploads  # type: ignore[attr-defined]
    assert list(uploads.iterdir()) == []


@pytest.mark.service
@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2f..%2fkeys.py",
        "/reports/..%2fkeys.json",
        "/reports/%2e%2e",
        "/v1/documents/..%2f..%2fkeys.json/original",
        "/v1/pages/..%2f../1/image",
        "/v1/collections/..%2fx/documents",
    ],
)
def test_no_path_leads_out_of_the_library(stocked: TestClient, path: str) -> None:
    assert stocked.get(path).status_code in {403, 404, 405, 422}


@pytest.mark.service
def test_a_chunked_upload_without_a_length_is_taken(client: TestClient) -> None:
    body = whole(part(pdf(("red", "x")), filename="chunked.pdf"))
    chunks = (body[i : i + 50] for i in range(0, len(body), 50))
    answer = client.post("/v1/collections/demo/documents", content=chunks, headers={"content-type": KIND})
    assert (answer.status_code, answer.json()["documents"][0]["name"]) == (202, "chunked.pdf")
