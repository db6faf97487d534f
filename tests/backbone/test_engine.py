import base64
import io
import socket
import time

import pytest
from PIL import Image

from backbone import probe
from backbone.engine import Engine, address, data_uri
from domain.errors import EngineError
from domain.model import ModelSettings
from tests.engines import engine

SETTINGS = ModelSettings(timeout_s=5, retries=2, concurrency=3)


def client(fake, **changes) -> Engine:
    return Engine(
        address(f"vllm:{fake.url}/org/model"), ModelSettings(**{"timeout_s": 5, "retries": 2, **changes})
    )


BODY = {"model": "org/model", "query": "red", "documents": ["red", "blue"]}


@pytest.mark.parametrize(
    ("name", "url", "model"),
    [
        ("vllm:http://host:8000/org/model", "http://host:8000", "org/model"),
        ("jina:https://host/v2#m0", "https://host/v2", "m0"),
        ("openai:https://host/model/", "https://host", "model"),
    ],
)
def test_a_name_says_where_an_engine_is_and_which_model_is_meant(name, url, model):
    found = address(name)
    assert (found.kind, found.url, found.model) == (name.partition(":")[0], url, model)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("vllm:host:8000/model", "names no engine; write vllm:http://HOST:PORT/MODEL"),
        ("vllm:file:///etc/passwd", "names no engine"),
        ("vllm:http://host:8000", "names no model"),
        ("vllm:http://me:secret@host/model", "keep credentials out of the address"),
    ],
)
def test_a_name_that_is_no_address_is_refused(name, problem):
    with pytest.raises(EngineError, match=problem) as error:
        address(name)
    assert "secret" not in str(error.value)


def test_a_failure_that_passes_is_tried_again():
    with engine(failures=[503, 429]) as fake:
        assert client(fake).post("/v1/rerank", BODY)["results"][0]["index"] == 0
        assert len(fake.seen) == 3


def test_a_failure_that_stays_names_the_engine_and_the_attempts():
    with engine(failures=[500] * 9) as fake:
        with pytest.raises(
            EngineError, match=rf"engine vllm at {fake.url} \(org/model\): HTTP 500 .*3 attempts"
        ):
            client(fake).post("/v1/rerank", BODY)
        assert len(fake.seen) == 3


@pytest.mark.parametrize(
    ("status", "hint"), [(400, "told to answer 400"), (401, "check the API key"), (404, "check path")]
)
def test_a_refusal_is_not_tried_again(status, hint):
    with engine(failures=[status]) as fake:
        with pytest.raises(EngineError, match=hint):
            client(fake).post("/v1/rerank", BODY)
        assert len(fake.seen) == 1


def test_the_engine_says_how_long_to_wait():
    with engine(failures=[429], retry_after="1") as fake:
        start = time.monotonic()
        client(fake).post("/v1/rerank", BODY)
        assert time.monotonic() - start >= 1


def test_an_engine_that_never_answers_is_given_up():
    with engine(delay_s=0.5) as fake:
        with pytest.raises(EngineError, match=r"no answer within 0\.1 s"):
            client(fake, timeout_s=0.1, retries=2).post("/v1/rerank", BODY)
        assert len(fake.seen) == 1


def test_an_engine_that_was_given_up_is_not_asked_again_at_once():
    with engine(failures=[503]) as fake:
        made = client(fake, retries=0)
        with pytest.raises(EngineError, match="HTTP 503"):
            made.post("/v1/rerank", BODY)
        with pytest.raises(EngineError, match="it failed a moment ago"):
            made.post("/v1/rerank", BODY)
        assert len(fake.seen) == 1


def test_an_engine_that_is_down_is_named():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    where = address(f"jina:http://127.0.0.1:{port}/m0")
    with pytest.raises(EngineError, match=rf"engine jina at http://127.0.0.1:{port} \(m0\): no connection"):
        Engine(where, ModelSettings(retries=1)).post("/v1/rerank", BODY)


@pytest.mark.parametrize(
    ("answer", "problem"), [(b"<html>hello", "did not answer with JSON"), ([1], "list instead of")]
)
def test_an_answer_that_is_no_json_object_is_refused(answer, problem):
    with engine(alter=lambda _: answer) as fake, pytest.raises(EngineError, match=problem):
        client(fake).post("/v1/rerank", BODY)


def test_the_key_is_sent_and_never_shown():
    with engine(key="right") as fake:
        client(fake, api_key="right").post("/v1/rerank", BODY)
        with pytest.raises(EngineError, match="check the API key") as error:
            client(fake, api_key="wrong-key").post("/v1/rerank", BODY)
    assert "wrong-key" not in str(error.value)


def test_calls_at_the_same_time_are_bounded_and_keep_their_order():
    with engine(delay_s=0.05) as fake:
        made = client(fake, concurrency=3)
        found = made.each(lambda n: (n, made.post("/v1/rerank", BODY)), list(range(9)))
        assert [n for n, _ in found] == list(range(9))
        assert 2 <= fake.most <= 3


def test_a_page_is_sent_no_larger_than_its_budget():
    uri = data_uri(Image.new("RGB", (2000, 1000)), "Qwen/Qwen3-VL-Reranker-2B", 100)
    sent = Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
    assert sent.width * sent.height <= 100 * 32 * 32
    assert sent.width / sent.height == pytest.approx(2, rel=0.02)
    small = Image.new("RGB", (30, 20), "red")
    again = Image.open(io.BytesIO(base64.b64decode(data_uri(small, "other", 100).partition(",")[2])))
    assert again.tobytes() == small.tobytes()


def test_the_probe_complains_of_a_wrong_and_of_an_even_order():
    assert probe.complaint([[2, 1], [1, 2]]) == ""
    assert "annual revenue" in probe.complaint([[1, 2], [1, 2]])
    assert "pancake" in probe.complaint([[2, 1], [2, 2]])
