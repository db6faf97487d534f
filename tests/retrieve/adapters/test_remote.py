import numpy as np
import pytest
from PIL import Image

from domain.errors import EngineError
from domain.model import ModelSettings
from retrieve.adapters import remote
from tests.engines import WIDTH, engine

PAGES = [Image.new("RGB", (40, 30), colour) for colour in ("red", "blue", "green")]


def connect(fake, kind="vllm", **changes):
    settings = ModelSettings(**{"timeout_s": 5, "retries": 1, **changes})
    return remote.load(f"{kind}:{fake.url}/org/model", settings=settings)


@pytest.mark.parametrize(("kind", "rows"), [("vllm", 3), ("openai", 1)])
def test_an_engine_gives_unit_vectors_in_the_order_asked(kind, rows):
    with engine() as fake:
        made = connect(fake, kind)
        pages, queries = made.pages(PAGES), made.queries(["red", "blue", "green"])
    assert made.dim == WIDTH
    assert made.fingerprint.pooling == ("single" if rows == 1 else "none")
    for vectors in (*pages, *queries):
        assert vectors.rows.shape == (rows, WIDTH)
        assert vectors.rows.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(vectors.rows, axis=1), 1, atol=1e-5)
    best = [int(np.argmax([q.rows[0] @ p.rows[0] for p in pages])) for q in queries]
    assert best == [0, 1, 2]


def test_the_host_of_an_engine_is_not_in_the_fingerprint():
    with engine() as one, engine() as two:
        assert connect(one).fingerprint.digest == connect(two).fingerprint.digest
        assert connect(one, max_visual_tokens=4096).fingerprint.digest != connect(one).fingerprint.digest


@pytest.mark.parametrize("kind", ["vllm", "openai"])
def test_an_engine_that_does_not_look_is_refused_at_connection(kind):
    with engine(wrong=True) as fake:
        with pytest.raises(EngineError, match="chat template, pooling or model is wrong"):
            connect(fake, kind)
        assert connect(fake, kind, probe=False).dim == WIDTH


def test_a_query_that_looks_like_an_address_is_sent_as_text():
    with engine() as fake:
        connect(fake).queries(["http://127.0.0.1:9/page.png"])
        part = fake.seen[-1][1]["messages"][0]["content"][0]
    assert part == {"type": "text", "text": "http://127.0.0.1:9/page.png"}


@pytest.mark.parametrize(
    "data",
    [
        [], [{"index": 0}], [{"index": 0, "data": []}], [{"index": 0, "data": [[0.0, 0.0]]}],
        [{"index": 0, "data": [[1.0, float("nan")]]}], [{"index": 0, "data": [[1.0], [1.0, 2.0]]}],
        [{"index": 0, "data": "abc"}], [{"index": 0, "data": [[[1.0]]]}], "x",
    ],
)  # fmt: skip
def test_vectors_that_are_nonsense_are_refused(data):
    with engine(alter=lambda _: {"data": data}) as fake, pytest.raises(EngineError, match=r"engine vllm at "):
        connect(fake)


def test_an_engine_whose_vectors_change_width_is_refused():
    with engine() as fake:
        made = connect(fake)
        fake.alter = lambda _: {"data": [{"index": 0, "data": [[1.0, 2.0]]}]}
        with pytest.raises(EngineError, match=f"2 wide and were {WIDTH}; was it restarted"):
            made.queries(["red"])


def test_a_kind_without_embeddings_is_refused():
    with pytest.raises(EngineError, match="encoders speak vllm, openai, not jina"):
        remote.load("jina:http://127.0.0.1:9/m0", settings=ModelSettings())
