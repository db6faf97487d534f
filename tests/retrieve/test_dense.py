from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from domain.errors import ModelError
from retrieve.dense import PageText, TextTower, cut_text, load, spoken
from retrieve.text_tower import TextConfig, TextNetwork, load_network, save_network

WORDS = [
    "[PAD]",
    "[CLS]",
    "[SEP]",
    "[UNK]",
    ".",
    *["the", "margin", "of", "cash", "flow", "rose", "fell", "in", "a", "year", "3m", "2018", "10k"],
]
SHAPE = TextConfig(
    layers=1, hidden=16, heads=2, inner=32, vocab=len(WORDS), max_tokens=16, title_tokens=4, overlap=2
)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    torch.manual_seed(1)
    save_network(TextNetwork(SHAPE), tmp_path)
    tokenizer = Tokenizer(
        models.WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return tmp_path


@pytest.fixture
def tower(directory: Path) -> TextTower:
    return load(directory)


LONG = PageText("3M_2018_10K", "the margin of cash flow rose in a year " * 5)
SHORT = PageText("", "cash fell")
BLANK = PageText("3M_2018_10K", " \n ")


def test_a_page_has_one_unit_row_a_chunk(tower: TextTower) -> None:
    long, short = tower.passages([LONG, SHORT])
    assert len(long.rows) == len(tower.chunks(LONG)) > 1
    assert short.rows.shape == (1, tower.dim)
    assert long.rows.dtype == np.float32
    assert np.linalg.norm(np.concatenate([long.rows, short.rows]), axis=1) == pytest.approx(1, abs=1e-5)


def test_a_page_without_text_has_no_rows_even_if_it_has_a_title(tower: TextTower) -> None:
    assert tower.passages([BLANK])[0].rows.shape == (0, tower.dim)


def test_no_pages_and_no_questions_give_nothing(tower: TextTower) -> None:
    assert tower.passages([]) == []
    assert tower.queries([]) == []


def test_a_page_has_the_same_rows_alone_and_in_company(tower: TextTower) -> None:
    alone = tower.passages([SHORT])[0].rows
    beside = tower.passages([LONG, SHORT, BLANK])[1].rows
    assert np.array_equal(alone, beside)


def test_every_question_has_one_unit_row_even_an_empty_or_a_long_one(tower: TextTower) -> None:
    rows = [vectors.rows for vectors in tower.queries(["", "cash flow", "cash " * 400])]
    assert [row.shape for row in rows] == [(1, tower.dim)] * 3
    assert np.linalg.norm(np.concatenate(rows), axis=1) == pytest.approx(1, abs=1e-5)


def test_the_title_changes_the_vectors_of_a_page(tower: TextTower) -> None:
    named, plain = tower.passages([PageText("2018", SHORT.text), SHORT])
    assert not np.allclose(named.rows, plain.rows)


def test_a_file_name_is_read_as_words() -> None:
    assert spoken("3M_2018_10K") == "3M 2018 10K"
    assert spoken("annual-report__2023 ") == "annual report 2023"


@given(
    length=st.integers(0, 200), size=st.integers(8, 40), overlap=st.integers(0, 3), title=st.integers(0, 2)
)
def test_chunks_hold_the_whole_text_once_but_for_the_overlap(
    length: int, size: int, overlap: int, title: int
) -> None:
    text = list(range(100, 100 + length))
    runs = cut_text(text, title=[7] * title, size=size, overlap=overlap, marks=(1, 2))
    bodies = [run[1 + title : -1] for run in runs]
    assert all(len(run) <= size for run in runs)
    assert [piece for place, body in enumerate(bodies) for piece in body[overlap if place else 0 :]] == text
    assert all(len(body) > (overlap if place else 0) for place, body in enumerate(bodies))


def test_a_title_that_leaves_no_room_is_refused() -> None:
    with pytest.raises(ValueError, match="hold no text beside a title of 5"):
        cut_text([1, 2, 3], title=[7] * 5, size=8, overlap=1, marks=(1, 2))


def test_other_weights_have_another_fingerprint(directory: Path, tower: TextTower, tmp_path: Path) -> None:
    network, _ = load_network(directory)
    with torch.no_grad():
        network.places.weight.add_(1.0)
    save_network(network, tmp_path)
    assert load(tmp_path).fingerprint.digest != tower.fingerprint.digest


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_missing_file_is_refused_by_name(directory: Path, name: str) -> None:
    (directory / name).unlink()
    with pytest.raises(ModelError, match=r"restore"):
        load(directory)


def test_weights_of_another_shape_are_refused(directory: Path) -> None:
    config = directory / "config.json"
    config.write_text(config.read_text().replace('"layers": 1', '"layers": 2'))
    with pytest.raises(ModelError, match="cannot be loaded"):
        load(directory)


def test_damaged_weights_are_refused(directory: Path) -> None:
    path = directory / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ModelError, match="cannot be loaded"):
        load(directory)
