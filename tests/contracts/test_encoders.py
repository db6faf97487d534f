"""What every encoder keeps, whoever made it: one suite over all that the registry can load."""

import math
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import models
from library.registry import load_encoder
from library.settings import Settings
from retrieve.encoder import Encoder, Vectors
from tests import checkpoints
from tests.engines import engine

PAGES = [
    checkpoints.page("revenue and margins of the year", width=260, height=340),
    checkpoints.page("wages", width=260, height=340),
    checkpoints.page("a wider page with a table", width=400, height=300),
    checkpoints.page("third", colour="lightyellow"),
]
QUERIES = ["what was the revenue", "wages?", "which page has a table and how wide is it"]
SHIPPED = Path(models.__file__).parent / "encoder"


@pytest.fixture(
    scope="module",
    params=["colour", "builtin", *(f"st:{name}" for name in checkpoints.ENCODERS), "vllm", "openai"],
)
def encoder(request: pytest.FixtureRequest) -> Iterator[Encoder]:
    name = request.param
    with ExitStack() as stack:
        if name == "builtin" and not SHIPPED.is_dir():
            pytest.skip("models/encoder is not in this checkout; train it or fetch it")
        if name.startswith("st:"):
            name = f"st:{checkpoints.built(name.removeprefix('st:'))}"
        if name in ("vllm", "openai"):
            name = f"{name}:{stack.enter_context(engine()).url}/org/model"
        yield load_encoder(Settings(encoder=name, device="cpu"))


def same(one: Vectors, other: Vectors, *, within: float = 2e-5) -> bool:
    return one.rows.shape == other.rows.shape and np.allclose(one.rows, other.rows, atol=within)


def assert_unit(vectors: Vectors, dim: int) -> None:
    assert vectors.rows.dtype == np.float32
    assert vectors.rows.ndim == 2
    assert vectors.rows.shape[1] == dim
    np.testing.assert_allclose(np.linalg.norm(vectors.rows, axis=1), 1, atol=1e-4)


def test_rows_are_float32_of_unit_length_and_of_the_stated_width(encoder):
    for vectors in (*encoder.pages(PAGES), *encoder.queries(QUERIES)):
        assert_unit(vectors, encoder.dim)


def test_no_pages_and_no_queries_give_none(encoder):
    assert encoder.pages([]) == []
    assert encoder.queries([]) == []


def test_order_is_kept(encoder):
    forward, backward = encoder.pages(PAGES), encoder.pages(PAGES[::-1])[::-1]
    assert all(same(a, b) for a, b in zip(forward, backward, strict=True))
    forward, backward = encoder.queries(QUERIES), encoder.queries(QUERIES[::-1])[::-1]
    assert all(same(a, b) for a, b in zip(forward, backward, strict=True))


def test_a_page_has_the_same_vectors_alone_and_in_company(encoder):
    for page, together in zip(PAGES, encoder.pages(PAGES), strict=True):
        assert same(encoder.pages([page])[0], together)


def test_a_query_has_the_same_vectors_alone_and_in_company(encoder):
    for query, together in zip(QUERIES, encoder.queries(QUERIES), strict=True):
        assert same(encoder.queries([query])[0], together)


def test_asking_twice_gives_the_same(encoder):
    assert same(encoder.pages(PAGES[:1])[0], encoder.pages(PAGES[:1])[0])


def test_an_image_is_not_changed(encoder):
    image = PAGES[0].copy()
    before = image.tobytes()
    encoder.pages([image])
    assert (image.mode, image.tobytes()) == ("RGB", before)


def test_places_weights_and_labels_belong_to_their_rows(encoder):
    for vectors in (*encoder.pages(PAGES), *encoder.queries(QUERIES)):
        count = len(vectors.rows)
        if vectors.boxes is not None:
            assert vectors.boxes.shape == (count, 4)
            assert vectors.boxes.dtype == np.float32
            assert (vectors.boxes >= -1e-6).all()
            assert (vectors.boxes <= 1 + 1e-6).all()
            assert (vectors.boxes[:, :2] <= vectors.boxes[:, 2:]).all()
        if vectors.weights is not None:
            assert vectors.weights.shape == (count,)
            assert np.isfinite(vectors.weights).all()
        if vectors.labels is not None:
            assert len(vectors.labels) == count


def test_a_query_has_at_least_one_row_whatever_is_in_it(encoder):
    for text in ("", " ", "?", "\x00", "数据", "a" * 3000):
        assert len(encoder.queries([text])[0].rows) >= 1


@pytest.mark.parametrize(
    "text", ["./page.png", "http://127.0.0.1:9/page.png", "data:image/png;base64,iVBORw0KGgo="]
)
def test_a_query_is_never_opened_or_fetched(encoder, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = encoder.queries([text])[0]
    PAGES[0].save("page.png")
    after = encoder.queries([text])[0]
    assert same(before, after)
    assert not same(after, encoder.pages([PAGES[0]])[0])


def test_a_blank_page_is_no_error(encoder):
    blank = encoder.pages([Image.new("RGB", (260, 340), "white"), PAGES[0]])
    assert len(blank) == 2
    if len(blank[0].rows):
        assert_unit(blank[0], encoder.dim)


def test_a_fingerprint_names_the_model_and_stays(encoder):
    assert encoder.name
    assert encoder.fingerprint.model
    assert encoder.fingerprint.digest == encoder.fingerprint.digest
    assert len(encoder.fingerprint.digest) == 16
    assert math.isfinite(encoder.dim)
