"""Search, pages, pictures and evidence over HTTP."""

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

pytestmark = pytest.mark.service


def ask(client: TestClient, **body: object) -> dict:
    answer = client.post("/v1/search", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def blue_page(client: TestClient) -> str:
    return str(ask(client, query="blue", rerank="off", collection="demo")["hits"][0]["page_id"])


def test_hits_carry_every_stage_s_rank_and_score_and_the_milliseconds(stocked: TestClient) -> None:
    result = ask(stocked, query="blue", collection="demo", rerank=4)
    stages = {stage["stage"] for hit in result["hits"] for stage in hit["stages"]}
    assert result["reranked"] == 4
    assert len(stages) >= 2
    assert result["timings_ms"]["total"] > 0
    assert [hit["page"] for hit in result["hits"]] == [4, 3, 2, 1]


def test_the_web_page_tells_how_far_a_page_rose_since_the_first_stage(stocked: TestClient) -> None:
    first = ask(stocked, query="blue", collection="demo", rerank="off")["hits"]
    before = [hit["page"] for hit in first]
    final = ask(stocked, query="blue", collection="demo", rerank=4)["hits"]
    rose = [before.index(hit["page"]) - rank for rank, hit in enumerate(final)]
    shown = stocked.get("/search?q=blue&collection=demo&rerank=4").text
    arrows = re.findall(r'class="moved (up|down)".*?by</span> (\d+)</span>', shown)
    assert [int(by) if way == "up" else -int(by) for way, by in arrows] == [by for by in rose if by]
    assert any(rose)


def test_reranking_can_be_switched_off(stocked: TestClient) -> None:
    result = ask(stocked, query="blue", collection="demo", rerank="off")
    assert result["reranked"] == 0
    assert result["hits"][0]["page"] == 3


def test_a_search_can_be_held_to_a_document_and_to_k_pages(stocked: TestClient) -> None:
    assert len(ask(stocked, query="red", k=2, document="colours")["hits"]) == 2
    assert {h["document"] for h in ask(stocked, query="rose", document="secret")["hits"]} == {"secret"}


def test_streaming_sends_the_first_stage_at_once_and_the_final_order_after(stocked: TestClient) -> None:
    body = {"query": "blue", "collection": "demo", "rerank": 4, "stream": True}
    answer = stocked.post("/v1/search", json=body)
    assert answer.headers["content-type"].startswith("text/event-stream")
    blocks = [block.split("\n") for block in answer.text.strip().split("\n\n")]
    assert [block[0] for block in blocks] == ["event: first", "event: final"]
    first, final = (json.loads(block[1].removeprefix("data: ")) for block in blocks)
    assert first["hits"][0]["page"] == 3
    assert final["hits"][0]["page"] == 4


def test_a_stream_that_fails_ends_with_a_problem(stocked: TestClient) -> None:
    body = {"query": "blue", "document": "nowhere", "stream": True}
    answer = stocked.post("/v1/search", json=body)
    assert "event: problem" in answer.text
    assert '"status": 404' in answer.text


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"query": ""},
        {"query": "   "},
        {"query": "x", "k": 0},
        {"query": "x", "k": 101},
        {"query": "x", "rerank": "sometimes"},
        {"query": "x", "budget_ms": -1},
        {"query": "x", "colour": "red"},
        {"query": "x", "arms": ["smell"]},
        {"query": "x" * 5000},
        {"query": ["x"]},
    ],
)
def test_a_wrong_search_is_a_problem_that_says_what_is_wrong(stocked: TestClient, body: dict) -> None:
    answer = stocked.post("/v1/search", json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == 422
    assert problem["detail"]
    assert problem["request_id"] == answer.headers["x-request-id"]


def test_an_unknown_collection_is_not_found(stocked: TestClient) -> None:
    answer = stocked.post("/v1/search", json={"query": "x", "collection": "nowhere"})
    assert answer.status_code == 404


def test_a_page_picture_has_any_width_and_an_etag_for_ever(stocked: TestClient) -> None:
    page = blue_page(stocked)
    whole = stocked.get(f"/v1/pages/{page}/image")
    small = stocked.get(f"/v1/pages/{page}/image?width=64")
    assert Image.open(io.BytesIO(small.content)).width == 64
    assert "immutable" in small.headers["cache-control"]
    assert whole.headers["etag"] != small.headers["etag"]
    again = stocked.get(f"/v1/pages/{page}/image?width=64", headers={"if-none-match": small.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert stocked.get(f"/v1/pages/{page}/image?width=64").content == small.content


def test_a_page_tells_its_size_and_its_text(stocked: TestClient) -> None:
    page = blue_page(stocked)
    info = stocked.get(f"/v1/pages/{page}").json()
    assert (info["number"], info["state"], info["has_text"]) == (3, "ready", True)
    assert "gamma" in stocked.get(f"/v1/pages/{page}/text").json()["text"]


def test_evidence_comes_as_boxes_and_as_a_picture(stocked: TestClient) -> None:
    page = blue_page(stocked)
    found = stocked.get(f"/v1/pages/{page}/evidence", params={"query": "blue"}).json()
    assert found["cells"][0]["similarity"] > 0.9
    assert set(found["cells"][0]["box"]) == {"x0", "y0", "x1", "y1"}
    picture = stocked.get(f"/v1/pages/{page}/evidence?query=blue&format=png&width=100")
    drawn = Image.open(io.BytesIO(picture.content))
    assert (drawn.format, drawn.width) == ("PNG", 100)
    plain = Image.open(io.BytesIO(stocked.get(f"/v1/pages/{page}/image?width=100").content)).convert("RGB")
    assert np.abs(np.asarray(drawn, float) - np.asarray(plain, float)).mean() > 5


def test_rerank_speaks_the_common_shape(stocked: TestClient) -> None:
    body = {
        "query": "q",
        "documents": ["a", {"text": "b"}, "c"],
        "top_n": 2,
        "return_documents": True,
        "x": 1,
    }
    answer = stocked.post("/v1/rerank", json=body).json()
    assert [r["index"] for r in answer["results"]] == [2, 1]
    assert answer["results"][1]["document"] == {"text": "b"}
    assert all(0 <= r["relevance_score"] <= 1 for r in answer["results"])
    assert answer["model"] == "late-pages"


def test_rerank_takes_images_and_fetches_no_url(stocked: TestClient, png: bytes) -> None:
    image = "data:image/png;base64," + base64.b64encode(png).decode()
    good = stocked.post("/v1/rerank", json={"query": "q", "documents": [{"image": image}]})
    assert good.status_code == 200
    for bad in ("http://example.org/a.png", "data:image/png;base64,AAAA", "%%%"):
        answer = stocked.post("/v1/rerank", json={"query": "q", "documents": [{"image": bad}]})
        assert answer.status_code == 422, bad


def test_embeddings_speak_openai_s_shape(stocked: TestClient, png: bytes) -> None:
    answer = stocked.post("/v1/embeddings", json={"input": ["blue", "red"]}).json()
    assert [d["index"] for d in answer["data"]] == [0, 1]
    assert np.linalg.norm(answer["data"][0]["embedding"]) == pytest.approx(1, abs=1e-5)
    packed = stocked.post("/v1/embeddings", json={"input": "blue", "encoding_format": "base64"}).json()
    raw = np.frombuffer(base64.b64decode(packed["data"][0]["embedding"]), "<f4")
    assert raw == pytest.approx(answer["data"][0]["embedding"])
    image = base64.b64encode(png).decode()
    rows = stocked.post("/v1/embeddings", json={"input": [{"image": image}], "pooling": "none"}).json()
    assert len(rows["data"][0]["embedding"][0]) == len(raw)


def test_another_model_s_name_is_refused(stocked: TestClient) -> None:
    for path, body in (
        ("embeddings", {"input": "x", "model": "gpt"}),
        ("rerank", {"query": "x", "documents": ["y"], "model": "gpt"}),
    ):
        answer = stocked.post(f"/v1/{path}", json=body)
        assert answer.status_code == 422
        assert "gpt" in answer.json()["detail"]


def test_the_models_are_named(stocked: TestClient) -> None:
    models = stocked.get("/v1/models").json()["data"]
    assert [(m["id"], m["role"]) for m in models] == [("colour", "encoder"), ("late-pages", "reranker")]


def test_what_was_searched_for_too_is_marked_as_the_words_of_the_question_are(stocked: TestClient) -> None:
    found = stocked.get("/search?q=the ocean&collection=demo&rerank=off").text
    assert "also searches for" in found
    assert "<mark>gamma</mark>" in found
    answer = stocked.post("/v1/search", json={"query": "the ocean", "collection": "demo"}).json()
    sea = next(hit["page_id"] for hit in answer["hits"] if hit["page"] == 3)
    assert "<mark>gamma</mark>" in stocked.get(f"/pages/{sea}?q=the ocean&why=1").text


def test_the_page_lights_up_where_every_hit_answers_and_marks_the_words(stocked: TestClient) -> None:
    plain = stocked.get("/search?q=gamma sea&collection=demo&rerank=off").text
    assert 'class="light"' not in plain
    assert "<mark>gamma</mark>" in plain
    assert "light=1" in plain
    lit = stocked.get("/search?q=gamma sea&collection=demo&rerank=off&light=1").text
    assert "Hide highlights" in lit
