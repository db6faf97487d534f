"""Models under many requests: a text tower is shared as well, and a search never waits for a large ingest."""

import threading
from collections.abc import Sequence

import numpy as np
from PIL import Image
from starlette.testclient import TestClient

from domain.fingerprint import Fingerprint
from library.library import Library
from retrieve.dense import PageText
from retrieve.encoder import Encoder, Vectors
from service.app import create
from service.batching import SharedTower
from service.metrics import Metrics
from tests.service.samples import pdf


class Counting:
    """A tower that counts what it is asked."""

    dim, fingerprint = 2, Fingerprint("counting")

    def __init__(self) -> None:
        self.asked: list[str] = []

    def passages(self, pages: Sequence[PageText]) -> list[Vectors]:
        return [Vectors(np.ones((1, 2), np.float32)) for _ in pages]

    def queries(self, texts: Sequence[str]) -> list[Vectors]:
        self.asked += texts
        return [Vectors(np.full((1, 2), len(text), np.float32)) for text in texts]


def test_a_text_tower_encodes_each_question_once_and_gives_the_same_vectors() -> None:
    tower = Counting()
    shared = SharedTower(tower, Metrics(), cached=10)
    for _ in range(3):
        assert [float(found.rows[0, 0]) for found in shared.queries(["aa", "bbb"])] == [2, 3]
    assert sorted(tower.asked) == ["aa", "bbb"]
    assert len(shared.passages([PageText(title="", text="x")])) == 1
    shared.close()


class Gate:
    """The encoder of a library, whose batches of pages are let through one by one."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self.name, self.dim, self.fingerprint = encoder.name, encoder.dim, encoder.fingerprint
        self.batches, self.entered = threading.Semaphore(0), threading.Semaphore(0)

    def pages(self, images: Sequence[Image.Image]) -> list[Vectors]:
        self.entered.release()
        assert self.batches.acquire(timeout=500)
        return self._encoder.pages(images)

    def queries(self, texts: Sequence[str]) -> list[Vectors]:
        return self._encoder.queries(texts)


def test_a_search_is_answered_while_a_batch_of_pages_is_still_being_embedded(library: Library) -> None:
    gate = Gate(library.encoder)
    library._models._encoder = gate
    many = library._stores.batch_pages * 3
    with TestClient(create(library), base_url="http://localhost") as client:
        file = ("colours.pdf", pdf(*[("blue", f"sea {n}") for n in range(many)]), "application/pdf")
        job = client.post("/v1/collections/demo/documents", files=[("files", file)]).json()["job_id"]
        gate.batches.release()  # the first batch goes through, the second is held
        assert gate.entered.acquire(timeout=500)
        assert gate.entered.acquire(timeout=500)
        found = client.post("/v1/search", json={"query": "blue", "k": 5}).json()["hits"]
        assert len(found) == 5
        assert client.get(f"/v1/jobs/{job}").json()["status"] == "running"
        for _ in range(many):
            gate.batches.release()
