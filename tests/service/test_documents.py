"""Uploads, documents and jobs over HTTP."""

import hashlib
import json
import threading
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from library.library import Library
from tests.service.samples import pdf, upload

pytestmark = pytest.mark.service


def test_an_upload_is_accepted_and_its_pages_become_searchable(client: TestClient) -> None:
    data = pdf(("red", "alpha"), ("green", "beta"))
    answer = upload(client, {"two.pdf": data})
    assert [d["status"] for d in answer["documents"]] == ["queued"]
    assert answer["documents"][0]["sha256"] == hashlib.sha256(data).hexdigest()
    job = client.get(f"/v1/jobs/{answer['job_id']}").json()
    assert (job["status"], job["pages_done"], job["pages_total"], job["failed"]) == ("done", 2, 2, [])
    hits = client.post("/v1/search", json={"query": "green"}).json()["hits"]
    assert (hits[0]["document"], hits[0]["page"]) == ("two", 2)


def test_progress_is_told_page_by_page_and_ends_with_the_state(client: TestClient) -> None:
    files = [("files", ("many.pdf", pdf(*[("red", f"page {n}") for n in range(20)])))]
    job = client.post("/v1/collections/demo/documents", files=files).json()["job_id"]
    with client.stream("GET", f"/v1/jobs/{job}/events") as events:
        lines = [line for line in events.iter_lines() if line]
    names = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    last = json.loads(lines[-1].removeprefix("data: "))
    assert names[-1] == "end"
    assert set(names) <= {"job", "progress", "end"}
    assert (last["status"], last["pages_done"]) == ("done", 20)


def test_the_same_content_again_is_recognised_and_said_so(client: TestClient) -> None:
    data = pdf(("red", "alpha"))
    first = upload(client, {"one.pdf": data})
    again = upload(client, {"copy.pdf": data, "new.pdf": pdf(("blue", "beta"))})
    assert [d["status"] for d in again["documents"]] == ["duplicate", "queued"]
    assert again["documents"][0]["id"] == first["documents"][0]["id"]
    assert "one.pdf" in again["documents"][0]["reason"]
    assert len(client.get("/v1/collections/demo/documents").json()["documents"]) == 2


def test_a_file_replaces_the_older_document_of_its_name(client: TestClient) -> None:
    upload(client, {"plan.pdf": pdf(("red", "old plan"))})
    upload(client, {"plan.pdf": pdf(("blue", "new plan"))})
    documents = client.get("/v1/collections/demo/documents").json()["documents"]
    assert [d["name"] for d in documents] == ["plan.pdf"]
    hits = client.post("/v1/search", json={"query": "plan"}).json()["hits"]
    assert [h["document_id"] for h in hits] == [documents[0]["id"]]


def test_a_bad_file_is_refused_by_name_and_code_while_the_others_go_on(client: TestClient) -> None:
    answer = upload(client, {"good.pdf": pdf(("red", "x")), "bad.pdf": b"hello", "empty.pdf": b""})
    found = {d["name"]: (d["status"], d["code"]) for d in answer["documents"]}
    assert found == {
        "good.pdf": ("queued", None),
        "bad.pdf": ("refused", "unsupported"),
        "empty.pdf": ("refused", "empty"),
    }


def test_an_upload_of_bad_files_only_is_a_problem_that_names_each(client: TestClient) -> None:
    answer = client.post("/v1/collections/demo/documents", files=[("files", ("a.pdf", b"no"))])
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"][0]["file"] == "a.pdf"
    assert client.get("/v1/jobs").json()["jobs"] == []


def test_a_damaged_pdf_fails_with_its_own_name_never_the_service_s_path(client: TestClient) -> None:
    answer = upload(client, {"broken report.pdf": b"%PDF-1.7\nnot really"})
    job = client.get(f"/v1/jobs/{answer['job_id']}").json()
    told = json.dumps([answer, job])
    assert answer["documents"][0]["status"] == "refused" or job["failed"]
    assert "broken report.pdf" in told
    assert "uploads" not in told
    assert ".part" not in told


def test_metadata_is_kept_and_filters_searches(client: TestClient) -> None:
    for year, colour in (("2022", "red"), ("2023", "red")):
        files = [("files", (f"{year}.pdf", pdf((colour, year))))]
        fields = {"metadata": json.dumps({"year": year})}
        job = client.post("/v1/collections/demo/documents", files=files, data=fields).json()["job_id"]
        with client.stream("GET", f"/v1/jobs/{job}/events") as events:
            list(events.iter_lines())
    hits = client.post("/v1/search", json={"query": "red", "filters": {"year": "2023"}}).json()["hits"]
    assert {h["document"] for h in hits} == {"2023"}


def test_metadata_that_is_no_object_of_strings_is_refused(client: TestClient) -> None:
    files = [("files", ("a.pdf", pdf(("red", "x"))))]
    for text in ("[1]", "{", '{"a": 1}'):
        answer = client.post("/v1/collections/demo/documents", files=files, data={"metadata": text})
        assert answer.status_code == 422
        assert "metadata" in answer.json()["detail"]


def test_a_removed_document_is_gone_at_once(client: TestClient) -> None:
    document = upload(client, {"a.pdf": pdf(("red", "alpha"))})["documents"][0]["id"]
    assert client.delete(f"/v1/documents/{document}").status_code == 204
    assert client.get(f"/v1/documents/{document}").status_code == 404
    assert client.post("/v1/search", json={"query": "red"}).json()["hits"] == []
    assert client.delete(f"/v1/documents/{document}").status_code == 404


def test_a_collection_that_is_emptied_is_gone(client: TestClient) -> None:
    upload(client, {"a.pdf": pdf(("red", "x")), "b.pdf": pdf(("blue", "y"))})
    assert client.delete("/v1/collections/demo").json() == {"documents": 2}
    assert client.get("/v1/collections/demo/documents").status_code == 404
    assert client.get("/v1/collections").json()["collections"] == []


def test_the_original_comes_back_byte_for_byte_as_an_attachment(client: TestClient) -> None:
    data = pdf(("red", "alpha"))
    document = upload(client, {"Übersicht 1.pdf": data})["documents"][0]["id"]
    answer = client.get(f"/v1/documents/{document}/original")
    assert answer.content == data
    assert answer.headers["content-disposition"].startswith("attachment")
    assert "sandbox" in answer.headers["content-security-policy"]


def test_documents_are_listed_in_slices(client: TestClient) -> None:
    upload(client, {f"{n}.pdf": pdf(("red", str(n))) for n in range(3)})
    part = client.get("/v1/collections/demo/documents?limit=2&offset=2").json()
    assert (len(part["documents"]), part["total"]) == (1, 3)


def test_an_image_of_a_page_is_a_document_too(client: TestClient, png: bytes) -> None:
    answer = upload(client, {"scan": png})
    assert answer["documents"][0]["name"] == "scan.png"
    assert client.post("/v1/search", json={"query": "blue"}).json()["hits"][0]["document"] == "scan"


def test_files_of_one_name_in_two_folders_are_two_documents(client: TestClient) -> None:
    parts = [
        ("files", ("a/report.pdf", pdf(("red", "first")))),
        ("files", ("b/report.pdf", pdf(("blue", "second")))),
    ]
    answer = client.post("/v1/collections/demo/documents", files=parts).json()
    assert [d["name"] for d in answer["documents"]] == ["report.pdf", "report (b).pdf"]


def test_a_finished_job_cannot_be_undone_by_cancelling(client: TestClient) -> None:
    job = upload(client, {"a.pdf": pdf(("red", "x"))})["job_id"]
    assert client.delete(f"/v1/jobs/{job}").json()["status"] == "done"


def test_a_cancelled_job_ends_and_says_so(client: TestClient) -> None:
    files = [("files", ("long.pdf", pdf(*[("red", str(n)) for n in range(120)])))]
    job = client.post("/v1/collections/demo/documents", files=files).json()["job_id"]
    assert client.delete(f"/v1/jobs/{job}").json()["status"] in {"cancelled", "done"}
    with client.stream("GET", f"/v1/jobs/{job}/events") as events:
        lines = list(events.iter_lines())
    assert "event: end" in lines
    assert client.get(f"/v1/jobs/{job}").json()["pages_done"] <= 120


def test_a_second_upload_does_not_wait_for_the_first_one_s_pages(client: TestClient) -> None:
    long = [("files", ("long.pdf", pdf(*[("red", str(n)) for n in range(300)])))]
    first = client.post("/v1/collections/demo/documents", files=long).json()["job_id"]
    short = [("files", ("short.pdf", pdf(("blue", "short"))))]
    assert client.post("/v1/collections/demo/documents", files=short).status_code == 202
    assert client.post("/v1/search", json={"query": "red"}).status_code == 200
    assert client.get(f"/v1/jobs/{first}").json()["status"] in {"queued", "running"}
    client.delete(f"/v1/jobs/{first}")


def test_what_does_not_exist_is_not_found(client: TestClient) -> None:
    for path in (
        "/v1/jobs/none",
        "/v1/jobs/none/events",
        "/v1/documents/none",
        "/v1/documents/none/pages",
        "/v1/documents/none/original",
        "/v1/pages/none/1",
        "/v1/pages/none/1/image",
        "/v1/pages/none/1/text",
        "/v1/pages/none/1/evidence?query=x",
        "/v1/collections/none/documents",
    ):
        answer = client.get(path)
        assert answer.status_code == 404, path
        assert answer.json()["code"] == "not-found"


def test_a_search_does_not_wait_for_a_thread_that_writes(library: Library, tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(pdf(("red", "rose")))
    library.index([path])
    begun, go, found = threading.Event(), threading.Event(), []

    def write() -> None:
        with library._stores.writing():
            begun.set()
            go.wait(500)

    writer = threading.Thread(target=write)
    writer.start()
    assert begun.wait(500)
    (library.directory / "visual.synced").unlink()  # as between a batch's vectors and its rows
    asker = threading.Thread(target=lambda: found.append(library.search("red")))
    asker.start()
    asker.join(30)
    in_time = not asker.is_alive()
    go.set()
    writer.join()
    asker.join()
    assert in_time
    assert found[0].hits
