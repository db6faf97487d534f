"""Remote engines that die while the service runs: what is lost is said, what is left is served."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from library.library import Library
from service.app import create
from tests import engines
from tests.service.samples import WITHOUT_MODELS, pdf, upload

QUICK = {"retries": 0, "timeout_s": 5.0}
PAGES = (("red", "alpha rose"), ("green", "beta grass"), ("blue", "gamma sea"))


@pytest.fixture
def reranked(tmp_path: Path) -> Iterator[tuple[TestClient, engines.Fake]]:
    """A service whose reranker is an engine, and that engine."""
    with engines.engine() as fake:
        settings = replace(WITHOUT_MODELS, reranker=f"vllm:{fake.url}/m", reranker_options=QUICK)
        with (
            Library.open(tmp_path / "library", settings) as library,
            TestClient(create(library), base_url="http://localhost") as client,
        ):
            upload(client, {"colours.pdf": pdf(*PAGES)})
            yield client, fake


def test_a_reranker_that_dies_leaves_the_first_stage_and_says_so(reranked):
    client, fake = reranked
    question = {"query": "green", "collection": "demo", "k": 3}
    before = client.post("/v1/search", json=question).json()
    assert before["reranked"] == 3
    fake.failures = [500] * 50
    answer = client.post("/v1/search", json=question)
    first = client.post("/v1/search", json={**question, "rerank": "off"}).json()
    assert answer.status_code == 200
    found = answer.json()
    assert [hit["page_id"] for hit in found["hits"]] == [hit["page_id"] for hit in first["hits"]]
    assert found["reranked"] == 0
    assert any(note.startswith("not reranked: engine vllm at http://127.0.0.1") for note in found["notes"])
    assert client.get("/healthz").status_code == 200


def test_an_encoder_that_dies_is_a_503_that_names_the_engine(tmp_path):
    with engines.engine() as fake:
        settings = replace(WITHOUT_MODELS, encoder=f"vllm:{fake.url}/m", encoder_options=QUICK)
        with (
            Library.open(tmp_path / "library", settings) as library,
            TestClient(create(library), base_url="http://localhost") as client,
        ):
            upload(client, {"colours.pdf": pdf(*PAGES)})
            question = {"query": "green", "collection": "demo"}
            assert client.post("/v1/search", json=question).json()["hits"]
            fake.failures = [503] * 50
            answer = client.post("/v1/search", json={**question, "query": "blue"})
            assert answer.status_code == 503
            assert "engine vllm at http://127.0.0.1" in answer.json()["detail"]
            assert answer.headers["content-type"].startswith("application/problem+json")
