import math

import pytest
from PIL import Image

from domain.errors import EngineError
from domain.model import ModelSettings
from rerank.adapters import remote
from rerank.reranker import Candidate
from tests.engines import engine

COLOURS = ("red", "blue", "green") * 4


def candidate(number: int, colour: str) -> Candidate:
    return Candidate(
        f"d/{number:04d}", lambda: Image.new("RGB", (40, 30), colour), lambda: colour, lambda: None
    )


CANDIDATES = [candidate(number, colour) for number, colour in enumerate(COLOURS, start=1)]


def connect(fake, kind="vllm", **changes):
    settings = ModelSettings(**{"timeout_s": 5, "retries": 1, **changes})
    return remote.load(f"{kind}:{fake.url}/org/model", settings=settings)


@pytest.mark.parametrize("reads", ["image", "text"])
@pytest.mark.parametrize("kind", ["vllm", "score", "jina", "cohere"])
def test_an_engine_scores_every_page_in_the_order_asked(kind, reads):
    with engine() as fake:
        scores = connect(fake, kind, reads=reads).scores("blue", CANDIDATES)
    assert [score > 0 for score in scores] == [colour == "blue" for colour in COLOURS]
    assert connected_paths(fake) == {
        "vllm": {"/v1/rerank"}, "score": {"/score"}, "jina": {"/v1/rerank"}, "cohere": {"/v2/rerank"},
    }[kind]  # fmt: skip


def connected_paths(fake):
    return {path for path, _ in fake.seen}


@pytest.mark.parametrize("kind", ["jina", "cohere"])
def test_image_and_text_travel_together_where_the_shape_has_room(kind):
    with engine() as fake:
        connect(fake, kind, reads="image+text").scores("blue", CANDIDATES[:1])
    document = fake.seen[-1][1]["documents"][0]
    assert set(document) == {"image", "text"}
    with engine() as fake, pytest.raises(EngineError, match="image or its text, not both"):
        connect(fake, "vllm", reads="image+text")


def test_probabilities_become_logits_and_logits_stay():
    with engine() as fake:
        from_probabilities = connect(fake).scores("blue", CANDIDATES)
    with engine(logits=True) as fake:
        made = connect(fake)
        logits = made.scores("blue", CANDIDATES)
    assert from_probabilities == pytest.approx(logits, abs=1e-6)
    assert made.probability(logits[0]) == pytest.approx(1 / (1 + math.exp(-logits[0])))


def test_certain_probabilities_become_finite_logits():
    with engine() as fake:
        made = connect(fake)
        fake.alter = lambda _: {"results": [{"index": 0, "relevance_score": 1.0}]}
        assert math.isfinite(made.scores("blue", CANDIDATES[:1])[0])
        fake.alter = lambda _: {"results": [{"index": 0, "relevance_score": 1.5}]}
        with pytest.raises(EngineError, match=r"page d/0001 with 1.5, after probabilities before"):
            made.scores("blue", CANDIDATES[:1])


@pytest.mark.parametrize("kind", ["vllm", "score", "jina", "cohere"])
def test_an_engine_behind_a_wrong_template_is_refused_at_connection(kind):
    with engine(wrong=True) as fake:
        with pytest.raises(EngineError, match="chat template, pooling or model is wrong"):
            connect(fake, kind)
        assert connect(fake, kind, probe=False).scores("blue", CANDIDATES[:1]) == [0.0]


@pytest.mark.parametrize(
    "answer",
    [
        {}, {"results": "x"}, {"results": []}, {"results": [{"index": 0, "relevance_score": 0.5}]},
        {"results": [{"index": 0, "relevance_score": 0.5}] * 2},
        {"results": [{"index": 0, "relevance_score": "a"}, {"index": 1, "relevance_score": 0.1}]},
        {"results": [{"index": 0, "relevance_score": 0.5}, {"index": 7, "relevance_score": 0.1}]},
    ],
)  # fmt: skip
def test_an_answer_that_does_not_score_each_document_once_is_refused(answer):
    with engine(alter=lambda _: answer) as fake, pytest.raises(EngineError, match="each must be scored once"):
        connect(fake)


def test_a_score_that_is_not_finite_names_the_page():
    with engine(logits=True) as fake:
        made = connect(fake)
        fake.alter = lambda found: {
            "results": [{**row, "relevance_score": float("inf")} for row in found["results"]]
        }
        with pytest.raises(EngineError, match="scored page d/0001 with inf"):
            made.scores("blue", CANDIDATES[:2])


def test_no_candidates_need_no_request():
    with engine() as fake:
        made = connect(fake)
        before = len(fake.seen)
        assert made.scores("blue", []) == []
        assert len(fake.seen) == before


def test_an_engine_under_a_path_is_reached():
    with engine() as fake:
        made = remote.load(f"jina:{fake.url}/api#m0", settings=ModelSettings(retries=0, timeout_s=5))
        assert connected_paths(fake) == {"/api/v1/rerank"}
        assert made.fingerprint.model == "jina:m0"


def test_a_kind_without_reranking_is_refused():
    with pytest.raises(EngineError, match="rerankers speak vllm, score, jina, cohere, not openai"):
        remote.load("openai:http://127.0.0.1:9/m0", settings=ModelSettings())
