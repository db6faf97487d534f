"""What every reranker keeps, whoever made it: one suite over all that the registry can load."""

import math
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from PIL import Image

import models
from library.models import Models
from library.registry import load_reranker
from library.settings import Settings
from rerank.reranker import Candidate, Reranker
from tests import checkpoints
from tests.engines import engine

TEXTS = ("revenue rose to five million", "wages fell", "a table of margins by quarter and year", "third")
IMAGES = [
    checkpoints.page(TEXTS[0], width=260, height=340),
    checkpoints.page(TEXTS[1], width=260, height=340),
    checkpoints.page(TEXTS[2], width=400, height=300),
    checkpoints.page(TEXTS[3], colour="lightyellow"),
]
SHIPPED = Path(models.__file__).parent


@pytest.fixture(
    scope="module",
    params=["builtin", *(f"st:{name}" for name in checkpoints.RERANKERS), "vllm", "score", "jina", "cohere"],
)
def reranker(request: pytest.FixtureRequest) -> Iterator[Reranker]:
    name = request.param
    options = {}
    with ExitStack() as stack:
        if name == "builtin":
            if not (SHIPPED / "reranker").is_dir() or not (SHIPPED / "encoder").is_dir():
                pytest.skip("models/reranker or models/encoder is not in this checkout; train or fetch them")
            options = {"featurise": Models(Settings(device="cpu"))._features}
        elif name.startswith("st:"):
            name = f"st:{checkpoints.built(name.removeprefix('st:'))}"
        else:
            name = f"{name}:{stack.enter_context(engine()).url}/org/model"
        found = load_reranker(Settings(reranker=name, device="cpu"), **options)
        assert found is not None
        yield found


def candidate(number: int, image: Image.Image, text: str) -> Candidate:
    return Candidate(f"doc/{number:04d}", lambda: image, lambda: text, lambda: None)


CANDIDATES = [
    candidate(n, image, text) for n, (image, text) in enumerate(zip(IMAGES, TEXTS, strict=True), start=1)
]


def test_every_candidate_gets_one_finite_score(reranker):
    scores = reranker.scores("what was the revenue", CANDIDATES)
    assert len(scores) == len(CANDIDATES)
    assert all(isinstance(score, float) and math.isfinite(score) for score in scores)


def test_no_candidates_give_no_scores(reranker):
    assert reranker.scores("what was the revenue", []) == []


def test_a_pair_has_the_same_score_alone_and_in_company(reranker):
    together = reranker.scores("what was the revenue", CANDIDATES)
    alone = [reranker.scores("what was the revenue", [shown])[0] for shown in CANDIDATES]
    assert alone == pytest.approx(together, abs=1e-4)


def test_order_is_kept(reranker):
    forward = reranker.scores("wages", CANDIDATES)
    assert reranker.scores("wages", CANDIDATES[::-1])[::-1] == pytest.approx(forward, abs=1e-4)


def test_the_same_page_twice_gets_the_same_score_twice(reranker):
    scores = reranker.scores("wages", [CANDIDATES[1], CANDIDATES[0], CANDIDATES[1]])
    assert scores[0] == pytest.approx(scores[2], abs=1e-4)


def test_a_query_is_any_text(reranker):
    for text in (
        "",
        "?",
        "数据",
        "a" * 3000,
        "http://127.0.0.1:9/page.png",
        "data:image/png;base64,iVBORw0KGgo=",
    ):
        assert math.isfinite(reranker.scores(text, CANDIDATES[:1])[0])


def test_a_path_as_a_query_is_not_opened(reranker, tmp_path):
    path = tmp_path / "page.png"
    before = reranker.scores(str(path), CANDIDATES[:1])
    IMAGES[0].save(path)
    assert reranker.scores(str(path), CANDIDATES[:1]) == pytest.approx(before, abs=1e-4)


def test_an_image_is_not_changed(reranker):
    image = IMAGES[0].copy()
    before = image.tobytes()
    reranker.scores("wages", [candidate(1, image, TEXTS[0])])
    assert (image.mode, image.tobytes()) == ("RGB", before)


def test_a_fingerprint_names_the_model_and_stays(reranker):
    assert reranker.name
    assert reranker.fingerprint.model
    assert len(reranker.fingerprint.digest) == 16
