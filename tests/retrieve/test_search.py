"""The search stages over the hand-computable encoder."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from domain.page import ALSO, Query, page_id
from domain.run import Run
from domain.stage import cut, fuse, then
from retrieve.adapters.colour import COLOURS, ColourEncoder, load
from retrieve.encoder import Vectors
from retrieve.engine import Engine
from retrieve.lexical import LexicalIndex, LexicalPage
from retrieve.search import embedded, lexical, search

ENCODER = ColourEncoder()


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    opened = Engine.open(tmp_path / "g", fingerprint=ENCODER.fingerprint, dim=ENCODER.dim, writable=True)
    images = [Image.new("RGB", (20, 30), colour) for colour in COLOURS.values()]
    opened.add([page_id(name, 1) for name in COLOURS], ENCODER.pages(images))
    return opened


def asked(*texts: str, within: frozenset[str] | None = None) -> Run:
    return Run.ask(*(Query(str(number), text, within) for number, text in enumerate(texts)))


@pytest.mark.parametrize("colour", sorted(COLOURS))
def test_a_page_of_a_colour_is_the_first_for_its_name(engine: Engine, colour: str) -> None:
    hits = search(ENCODER, engine, k=3)(asked(f"a {colour} page")).answers[0].hits
    assert hits[0].page == f"{colour}/0001"
    assert hits[0].score == pytest.approx(1, abs=0.01)
    assert [(mark.stage, mark.rank) for hit in hits for mark in hit.trace] == [
        ("visual", 1), ("visual", 2), ("visual", 3)
    ]  # fmt: skip


def test_answers_keep_the_order_of_the_questions_and_unknown_words_find_something(engine: Engine) -> None:
    answers = search(ENCODER, engine, k=1, name="colour")(asked("red", "blue", "elephant")).answers
    assert [answer.hits[0].page for answer in answers[:2]] == ["red/0001", "blue/0001"]
    assert answers[2].hits[0].trace[0].stage == "colour"


def test_what_pages_say_in_place_of_a_question_counts_half_by_token() -> None:
    queries = [Query("1", "a red page", also=("a blue one", "a red one")), Query("2", "green")]
    found, other = embedded(ENCODER, queries)
    assert found.labels == ("red", "blue", "red")
    assert found.weights is not None
    assert found.weights.tolist() == [1.0, ALSO, 1.0]
    assert other.weights is None

    class Weighing:
        """Counts every token double."""

        def queries(self, texts: Sequence[str]) -> list[Vectors]:
            rows = ENCODER.queries(texts)
            return [replace(row, weights=np.full(len(row.rows), 2, np.float32)) for row in rows]

    weights = embedded(Weighing(), queries)[0].weights
    assert weights is not None
    assert weights.tolist() == [2.0, 2 * ALSO, 2.0]


def test_an_encoder_that_names_no_tokens_reads_all_of_it() -> None:
    heard: list[str] = []

    class Silent:
        """One vector a text."""

        def queries(self, texts: Sequence[str]) -> list[Vectors]:
            heard.extend(texts)
            return [Vectors(np.ones((1, 2), np.float32)) for _ in texts]

    assert embedded(Silent(), [Query("1", "ROA", also=("income", "assets"))])[0].weights is None
    assert heard == ["ROA; income; assets"]


def test_both_arms_honour_the_filter_and_join(engine: Engine, tmp_path: Path) -> None:
    texts = LexicalIndex.open(tmp_path / "t", writable=True)
    texts.add([LexicalPage(page_id(name, 1), "", "", f"the {name} page") for name in COLOURS])
    texts.commit()
    pipeline = then(fuse(search(ENCODER, engine, k=5), lexical(texts, k=5)), cut(2))
    hit = pipeline(asked("green")).answers[0].hits[0]
    assert hit.page == "green/0001"
    assert {mark.stage for mark in hit.trace} == {"visual", "lexical"}
    only = frozenset({"red", "blue"})
    inside = pipeline(asked("green", within=only)).answers[0].hits
    assert {found.page for found in inside} <= {"red/0001", "blue/0001"}
    assert pipeline(asked("green", within=frozenset())).answers[0].hits == ()


def test_searching_deep_and_cutting_is_searching_shallow(engine: Engine) -> None:
    run = asked("red", "cyan")
    deep = then(search(ENCODER, engine, k=9), cut(3))(run)
    assert deep == search(ENCODER, engine, k=3)(run)


def test_only_the_colour_encoder_is_loaded_here() -> None:
    assert load("colour").name == "colour"
    with pytest.raises(ValueError, match="not 'other'"):
        load("other")
