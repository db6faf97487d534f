from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import save_file

import models
from domain.errors import ModelError
from domain.packing import packed, unpacked
from rerank.adapters.builtin import BuiltinReranker, load, read_reader
from rerank.builtin.files import save_network
from rerank.builtin.network import RerankConfig, RerankNetwork
from rerank.builtin.pairs import line_order
from rerank.builtin.pieces import MOST, read_pieces
from rerank.builtin.spelling import Speller, read_words
from rerank.reranker import Candidate, PageFeatures

TOWER = Path(models.__file__).parent / "text"
SHAPE = RerankConfig(hidden=16, layers=1, heads=2, inner=24, question_words=6, page_words=8)
DIM = 15
TEXT = (
    "operating margin rose to twelve percent while the cash flow of the company fell again in the last year "
    * 2
)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    torch.manual_seed(3)
    network = RerankNetwork(SHAPE, read_pieces(TOWER).table)
    with torch.no_grad():
        network.verdict[-1].weight.normal_(std=1.0)
    save_network(network, tmp_path / "reranker")
    return tmp_path / "reranker"


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    place = tmp_path / "encoder"
    place.mkdir()
    dice = np.random.default_rng(2)
    held = {
        "words.codes": dice.integers(-127, 128, (512, DIM)).astype(np.int8),
        "words.scales": np.full(512, 0.01, np.float16),
        "worths.known": np.array([crc32(b"margin")], np.uint32).view(np.int32),
        "worths.values": np.array([0.25], np.float16),
    }
    save_file(held, place / "model.safetensors")
    (place / "config.json").write_text('{"unknown_worth": 0.75}')
    return place


@pytest.fixture
def reranker(directory: Path, encoder: Path) -> BuiltinReranker:
    return load(f"builtin:{directory}", encoder=encoder)


def features(count: int, seed: int = 1) -> PageFeatures:
    dice = np.random.default_rng(seed)
    rows = dice.standard_normal((count, DIM + 1)).astype(np.float32)
    corners = np.sort(dice.random((count, 2, 2)).astype(np.float32), axis=1)
    return PageFeatures(rows / np.linalg.norm(rows, axis=1, keepdims=True), corners.reshape(count, 4))


def never() -> Image.Image:
    raise AssertionError("the picture was asked for")


def candidate(
    text: str = "",
    shown: PageFeatures | None = None,
    image: Callable[[], Image.Image] = never,
    title: str = "",
) -> Candidate:
    return Candidate("d/0001", image, lambda: text, lambda: shown, lambda: title)


def test_each_pair_is_scored_by_itself_and_in_order(reranker: BuiltinReranker) -> None:
    pages = [
        candidate(TEXT),
        candidate(shown=features(300)),
        candidate("cash flow " * 40, features(3, 2)),
        candidate(shown=features(40, 3)),
    ]
    together = reranker.scores("operating margin of the company", pages)
    alone = [reranker.scores("operating margin of the company", [page])[0] for page in pages]
    assert together == pytest.approx(alone, abs=0.05)
    assert len({round(score, 2) for score in together}) == len(pages)


def test_no_candidates_have_no_scores(reranker: BuiltinReranker) -> None:
    assert reranker.scores("anything", []) == []


@pytest.mark.parametrize("query", ["", "?!", "margin", "a very long question " * 50, "利益率"])
def test_every_question_gets_finite_scores_even_of_a_blank_page(
    reranker: BuiltinReranker, query: str
) -> None:
    scores = reranker.scores(query, [candidate(shown=features(0)), candidate(TEXT)])
    assert np.isfinite(scores).all()


def test_a_page_with_a_text_layer_is_read_by_it(reranker: BuiltinReranker) -> None:
    assert reranker.scores("cash flow", [candidate(TEXT, features(30))]) == reranker.scores(
        "cash flow", [candidate(TEXT)]
    )


def test_a_few_words_of_text_do_not_outweigh_the_picture(reranker: BuiltinReranker) -> None:
    stamped = reranker.scores("cash flow", [candidate("page 3 of 9", features(30))])
    assert stamped == reranker.scores("cash flow", [candidate("", features(30))])


def test_a_bare_picture_is_read_with_what_was_given_for_it(directory: Path, encoder: Path) -> None:
    looked: list[Image.Image] = []

    def featurise(image: Image.Image) -> PageFeatures:
        looked.append(image)
        return features(30)

    picture = Image.new("RGB", (8, 8))
    reranker = load(f"builtin:{directory}", encoder=encoder, featurise=featurise)
    score = reranker.scores("cash flow", [candidate(image=lambda: picture)])
    assert looked == [picture]
    assert score == reranker.scores("cash flow", [candidate(shown=features(30))])


def test_a_page_that_can_be_read_in_no_way_is_refused_by_name(reranker: BuiltinReranker) -> None:
    with pytest.raises(ModelError, match=r"d/0001 has neither text nor vectors"):
        reranker.scores("cash flow", [candidate()])


def test_vectors_of_another_encoder_are_refused(reranker: BuiltinReranker) -> None:
    other = PageFeatures(np.ones((2, 4), np.float32) / 2, np.zeros((2, 4), np.float32))
    with pytest.raises(ModelError, match="rows of width 16"):
        reranker.scores("cash flow", [candidate(shown=other)])


def test_a_score_that_is_not_finite_is_an_error_that_names_the_page(reranker: BuiltinReranker) -> None:
    with torch.no_grad():
        reranker._network.weigh[-1].bias.fill_(float("nan"))
    with pytest.raises(ModelError, match=r"nan for page d/0001"):
        reranker.scores("cash flow", [candidate(TEXT)])


def test_a_directory_that_is_not_there_is_refused() -> None:
    with pytest.raises(ModelError, match="nowhere"):
        load("builtin:nowhere")


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_missing_or_damaged_file_is_refused(directory: Path, name: str) -> None:
    (directory / name).write_bytes((directory / name).read_bytes()[:-30])
    with pytest.raises(ModelError, match="restore the one that ships"):
        load(f"builtin:{directory}")


def test_an_encoder_without_words_is_refused(directory: Path, encoder: Path) -> None:
    (encoder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="needs the words of the built-in encoder"):
        load(f"builtin:{directory}", encoder=encoder)


def test_other_weights_or_other_words_have_another_fingerprint(directory: Path, encoder: Path) -> None:
    first = load(f"builtin:{directory}", encoder=encoder).fingerprint.digest
    (encoder / "config.json").write_text('{"unknown_worth": 0.5}')
    second = load(f"builtin:{directory}", encoder=encoder).fingerprint.digest
    torch.manual_seed(4)
    save_network(RerankNetwork(SHAPE, read_pieces(TOWER).table), directory)
    third = load(f"builtin:{directory}", encoder=encoder).fingerprint.digest
    assert len({first, second, third}) == 3


def test_words_are_read_line_by_line_from_left_to_right() -> None:
    boxes = np.array([[0.5, 0.10, 0.6, 0.12], [0.1, 0.30, 0.2, 0.32], [0.1, 0.101, 0.2, 0.121]], np.float32)
    assert line_order(boxes).tolist() == [2, 0, 1]


def test_a_row_is_the_word_without_its_last_two_numbers_and_the_floor_is_none(encoder: Path) -> None:
    reader = read_reader(encoder, TOWER)
    reader.speller = Speller(replace(read_words(encoder), table=np.ones((512, 3), np.float32)))
    rows = np.array([[0.3, 0.4, 0.5, 0.7], [0.0, 0.0, 0.0, 1.0]], np.float32)
    reading = reader.seen(
        PageFeatures(rows, np.array([[0.1, 0.1, 0.2, 0.2], [0, 0, 0, 0]], np.float32)), about=()
    )
    assert reading.cells == pytest.approx(np.array([[0.6, 0.8, 0.0]], np.float32))
    assert reading.boxes.shape == (1, 4)


def test_a_known_word_has_its_own_worth_and_any_other_the_common_one(encoder: Path) -> None:
    reader = read_reader(encoder, TOWER)
    speller = reader.speller
    assert reader.question("Margin rose", most=5).worth == pytest.approx([0.25, 0.75])
    assert np.linalg.norm(speller.rows(["margin", "rose"]), axis=1) == pytest.approx(1, abs=1e-5)


def test_packing_keeps_whole_numbers_and_loses_at_most_half_a_step() -> None:
    dice = np.random.default_rng(1)
    given = {"m": dice.standard_normal((3, 9)).astype(np.float32), "k": np.array([1, -(2**31)], np.int32)}
    back = unpacked(packed(given))
    steps = np.abs(given["m"]).max(1, keepdims=True) / 127
    assert (np.abs(back["m"] - given["m"]) <= 0.501 * steps).all()
    assert back["k"].tolist() == given["k"].tolist()


def test_the_title_of_the_document_is_read_with_the_page(reranker: BuiltinReranker) -> None:
    bare, named = candidate(TEXT), candidate(TEXT, title="Quarry_Lane_2018")
    scores = reranker.scores("Quarry Lane 2018 margin", [bare, named])
    assert scores[0] != pytest.approx(scores[1], abs=1e-3)


def test_words_of_the_question_that_its_document_begins_with_stand_before_the_page(encoder: Path) -> None:
    reader = read_reader(encoder, TOWER)
    opening = "Quarry Lane: annual report of the margin " + "so on " * 80 + "zebra"
    about = reader.about("margin of Quarry Lane, zebra and quarry", title="Lane", opening=opening)
    assert about == ["lane", "of", "quarry"], "neither twice, nor what stands far behind or tells little"
    reading = reader.written("cash flow", about=about)
    assert reading.pieces.tolist() == reader.pieces.words([*about, "cash", "flow"]).tolist()
    assert reader.about("", title="", opening=opening) == []


def test_a_page_is_held_to_have_the_name_that_its_document_begins_with(reranker: BuiltinReranker) -> None:
    opening = "annual report of Quarry Lane"
    page, same = candidate(TEXT), replace(candidate(TEXT), opening=lambda: opening)
    asked = reranker.scores("margin of Quarry Lane", [page, same])
    assert asked[1] != pytest.approx(asked[0], abs=1e-3)
    assert reranker.scores("margin", [same]) == pytest.approx(reranker.scores("margin", [page]), abs=1e-6)


def test_vectors_are_named_by_the_known_word_that_they_spell_or_not_at_all(encoder: Path) -> None:
    reader = read_reader(encoder, TOWER)
    spelled = reader.speller.rows(["margin", "company"])
    assert reader.named(np.concatenate([spelled, 0 * spelled[:1]]).astype(np.float32)) == [
        "margin",
        "company",
        "",
    ]
    assert reader.pieces.words([""]).tolist() == [[100, -1, -1, -1]]


def test_a_long_word_is_cut_to_its_first_pieces() -> None:
    pieces = read_pieces(TOWER)
    assert pieces.words(["donaudampfschifffahrtsgesellschaft", "cash"]).shape == (2, MOST)
    assert (pieces.words(["cash"])[0] >= 0).sum() == 1


def test_a_text_tower_without_word_pieces_is_refused(directory: Path, encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="word pieces of the text tower"):
        load(f"builtin:{directory}", encoder=encoder, tower=tmp_path)
