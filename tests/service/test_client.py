"""The typed client against the running service; the shared encoder; the zoo of odd PDFs."""

import json
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from domain.errors import ModelError, NotFoundError, UsageError
from domain.fingerprint import Fingerprint
from library.library import Library
from recto.client import Client
from retrieve.encoder import Vectors
from service.batching import SharedEncoder
from service.metrics import Metrics
from tests.service.samples import WITHOUT_MODELS, LatePages, pdf, running

ZOO = Path(__file__).parents[3] / "shared" / "data" / "pdfzoo"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with Library.open(tmp_path_factory.mktemp("client") / "library", WITHOUT_MODELS) as library:
        library._models._reranker = LatePages()
        with running(library) as url, Client(url, timeout_s=500) as opened:
            yield opened


@pytest.mark.service
def test_the_client_does_what_the_command_line_does(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "report.pdf"
    path.write_bytes(pdf(("red", "rose"), ("blue", "sea")))
    taken = client.upload([path], collection="demo", metadata={"year": "2023"})
    steps = [step["event"] for step in client.follow(taken.job_id)]
    assert steps[-1] == "end"
    assert client.job(taken.job_id).status == "done"
    assert client.cancel(taken.job_id).status == "done"
    assert [c.name for c in client.collections()] == ["demo"]
    document = client.documents("demo")[0]
    assert document.metadata["year"] == "2023"
    assert client.document(document.id) == document
    assert [page.number for page in client.pages(document.id)] == [1, 2]
    hit = client.search("blue", collection="demo", rerank="off").hits[0]
    assert hit.page == 2
    assert client.evidence(hit.page_id, "blue").cells
    assert client.image(hit.page_id, width=50)[:2] == b"\xff\xd8"
    assert client.original(document.id) == path.read_bytes()
    assert client.rerank("q", ["a", "b"]).results[0].index == 1
    assert len(client.embed(["blue", "red"]).data) == 2
    client.remove(document.id)
    with pytest.raises(NotFoundError):
        client.document(document.id)


@pytest.mark.service
def test_the_client_raises_the_service_s_own_sentence(client: Client) -> None:
    with pytest.raises(UsageError, match="k is 500"):
        client.search("x", k=500)
    with pytest.raises(NotFoundError, match="none"):
        list(client.follow("none"))


@pytest.mark.service
@pytest.mark.slow
@pytest.mark.skipif(not ZOO.is_dir(), reason="the zoo of odd PDFs is not beside this checkout")
def test_the_zoo_goes_through_and_every_failure_has_a_code_and_a_sentence(client: Client) -> None:
    entries = json.loads((ZOO / "manifest.json").read_text())
    paths = sorted(ZOO.rglob("*.pdf"))[:40]
    taken = client.upload(paths, collection="zoo")
    assert entries
    assert len(taken.documents) == len(paths)
    job = client.wait(taken.job_id)
    assert job.status in {"done", "failed"}
    assert job.pages_done == job.pages_total
    for failure in (f.failure for f in job.failed):
        assert failure.code
        assert failure.message
    for refused in (d for d in taken.documents if d.status == "refused"):
        assert refused.code
        assert refused.name in refused.reason or refused.reason
    assert client.documents("zoo")


class Slow:
    """An encoder that waits to be let go, and remembers what it was asked together."""

    name, dim, fingerprint = "slow", 2, Fingerprint("slow")

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.begun, self.go = threading.Event(), threading.Event()

    def pages(self, images: Sequence[Image.Image]) -> list[Vectors]:
        return [Vectors(np.ones((1, 2), np.float32)) for _ in images]

    def queries(self, texts: Sequence[str]) -> list[Vectors]:
        self.batches.append(list(texts))
        self.begun.set()
        assert self.go.wait(500)
        if "bad" in texts:
            raise ModelError("bad query")
        return [Vectors(np.full((1, 2), len(text), np.float32)) for text in texts]


def test_queries_that_come_meanwhile_are_encoded_together_and_once() -> None:
    slow = Slow()
    shared = SharedEncoder(slow, Metrics(), cached=10)
    found: dict[int, float] = {}

    def ask(number: int, text: str) -> None:
        found[number] = float(shared.queries([text])[0].rows[0, 0])

    threads = [threading.Thread(target=ask, args=(0, "a"))]
    threads[0].start()
    assert slow.begun.wait(500)
    threads += [threading.Thread(target=ask, args=(n, "bb" if n % 2 else "ccc")) for n in range(1, 7)]
    for thread in threads[1:]:
        thread.start()
    while shared.queries._asked.qsize() < 2:
        threading.Event().wait(0.01)
    slow.go.set()
    for thread in threads:
        thread.join()
    assert [sorted(batch) for batch in slow.batches] == [["a"], ["bb", "ccc"]]
    assert found == {0: 1, 1: 2, 2: 3, 3: 2, 4: 3, 5: 2, 6: 3}
    assert shared.queries(["a", "bb"])[1].rows[0, 0] == 2
    assert len(slow.batches) == 2
    shared.close()
    assert shared.queries(["after the end"])[0].rows[0, 0] == 13


def test_a_failed_batch_is_told_to_all_and_not_remembered() -> None:
    slow = Slow()
    slow.go.set()
    shared = SharedEncoder(slow, Metrics(), cached=1)
    for _ in range(2):
        with pytest.raises(ModelError, match="bad query"):
            shared.queries(["bad"])
    assert len(slow.batches) == 2
    assert shared.queries(["fine"])[0].rows[0, 0] == 4
    shared.queries(["other"])
    shared.queries(["fine"])
    assert len(slow.batches) == 5
    shared.close()
