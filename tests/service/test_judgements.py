"""What people open and judge: kept only where it is turned on, and exported as questions of one's own."""

from collections.abc import Callable
from pathlib import Path

from starlette.testclient import TestClient

from evaluation.export import export
from library.library import Library
from tests.service.samples import pdf, upload


def _shelf(client: TestClient) -> str:
    found = upload(client, {"colours.pdf": pdf(("red", "alpha rose"), ("blue", "gamma sea"))})
    document: str = found["documents"][0]["id"]
    return document


def test_nothing_is_kept_unless_the_operator_turned_it_on(client: TestClient, library: Library) -> None:
    page = f"{_shelf(client)}/0001"
    assert client.post("/v1/judgements", json={"query": "rose", "page_id": page}).status_code == 404
    assert "Does this page answer?" not in client.get(f"/pages/{page}?q=rose").text
    assert not (library.directory / "judgements.jsonl").exists()


def test_clicks_and_judgements_become_questions_that_evaluation_reads(
    serve: Callable[..., TestClient], library: Library, tmp_path: Path
) -> None:
    client = serve(record_judgements=True)
    document = _shelf(client)
    click = {"query": "rose", "page_id": f"{document}/0001"}
    assert client.post("/v1/judgements", json=click).status_code == 204
    assert "Does this page answer?" in client.get(f"/pages/{document}/0002?q=rose").text
    answer = client.post(f"/pages/{document}/0002/judge", data={"q": "rose", "verdict": "no"})
    assert "Noted: it does not." in answer.text
    done = export(library, library.directory / "judgements.jsonl", tmp_path / "questions")
    assert (done.questions, done.judgements, done.documents) == (1, 2, 1)
    rows = (tmp_path / "questions" / "qrels.tsv").read_text().splitlines()[1:]
    assert sorted(row.split("\t")[1:] for row in rows) == [["colours#0", "1"], ["colours#1", "0"]]


def test_a_page_that_does_not_exist_cannot_be_judged(serve: Callable[..., TestClient]) -> None:
    client = serve(record_judgements=True)
    assert client.post("/v1/judgements", json={"query": "rose", "page_id": "nowhere/0001"}).status_code == 404
