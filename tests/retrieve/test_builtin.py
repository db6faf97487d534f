"""The built-in encoder, with the weights that ship."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image, ImageDraw, ImageFont

import models
from backbone.integers import bytes_pay
from domain.errors import ModelError
from domain.model import ModelSettings
from retrieve.adapters.builtin import BuiltinEncoder, load
from retrieve.builtin.files import Parts, read_parts
from retrieve.builtin.inked import TILE_PX, Part, parts, whole_tiles
from retrieve.builtin.integers import ByteTower, _Step, in_bytes
from retrieve.builtin.network import Shape, Strokes
from retrieve.builtin.reading import Seen, levels, see
from retrieve.builtin.weighing import Weighing, weighed

SHIPPED = Path(models.__file__).parent / "encoder"


@pytest.fixture(scope="module")
def encoder() -> BuiltinEncoder:
    return load("builtin", settings=ModelSettings(dtype="float32"))


@pytest.fixture(scope="module")
def parts_shipped() -> Parts:
    return read_parts(SHIPPED)


def page(*lines: str, size: tuple[int, int] = (850, 600), print_px: int = 22) -> Image.Image:
    image = Image.new("RGB", size, "white")
    pen, face = ImageDraw.Draw(image), ImageFont.load_default(print_px)
    for number, line in enumerate(lines):
        pen.text((40, 40 + 40 * number), line, fill="black", font=face)
    return image


def best(encoder: BuiltinEncoder, query: str, *pages: Image.Image) -> int:
    (asked,) = encoder.queries([query])
    assert asked.weights is not None
    found = [float((asked.rows @ shown.rows.T).max(1) @ asked.weights) for shown in encoder.pages(pages)]
    return int(np.argmax(found))


def test_a_page_is_found_by_the_words_that_it_shows(encoder: BuiltinEncoder) -> None:
    shown = [
        page("the operating margin rose in 2019", "revenue and net income"),
        page("symptoms of the disease include fever", "treatment of patients"),
        page("the football season ended in March", "the team won the final match"),
    ]
    assert best(encoder, "What was the operating margin?", *shown) == 0
    assert best(encoder, "Which symptoms do patients have?", *shown) == 1
    assert best(encoder, "football match", *shown) == 2


def test_a_page_has_the_same_vectors_alone_and_in_company(encoder: BuiltinEncoder) -> None:
    one, other = page("alone and in company"), page("quite another page", size=(400, 900))
    (alone,) = encoder.pages([one])
    _, together = encoder.pages([other, one])
    np.testing.assert_array_equal(alone.rows, together.rows)
    assert alone.boxes is not None
    np.testing.assert_array_equal(alone.boxes, together.boxes)


def test_rows_are_unit_vectors_and_boxes_lie_on_the_page(encoder: BuiltinEncoder) -> None:
    (shown,) = encoder.pages([page("several words", "in two lines")])
    (asked,) = encoder.queries(["several words"])
    for vectors in (shown, asked):
        assert vectors.rows.dtype == np.float32
        assert vectors.rows.shape[1] == encoder.dim
        np.testing.assert_allclose(np.linalg.norm(vectors.rows, axis=1), 1, atol=1e-5)
    assert shown.boxes is not None
    assert shown.boxes.shape == (len(shown.rows), 4)
    assert ((shown.boxes >= 0) & (shown.boxes <= 1)).all()
    assert (shown.boxes[:, :2] <= shown.boxes[:, 2:]).all()


def test_no_page_gives_no_vectors_and_a_blank_one_none_or_few(encoder: BuiltinEncoder) -> None:
    assert encoder.pages([]) == []
    (blank,) = encoder.pages([Image.new("RGB", (700, 900), "white")])
    assert blank.rows.shape[1] == encoder.dim
    assert len(blank.rows) < 5


@pytest.mark.parametrize("size", [(1, 1), (8, 2000), (2000, 8), (60, 60)])
def test_odd_sizes_are_read(encoder: BuiltinEncoder, size: tuple[int, int]) -> None:
    (shown,) = encoder.pages([Image.new("RGB", size, "gray")])
    assert shown.rows.shape[1] == encoder.dim


def test_only_rgb_images_are_taken(encoder: BuiltinEncoder) -> None:
    with pytest.raises(ModelError, match="RGB"):
        encoder.pages([Image.new("L", (10, 10))])


@pytest.mark.parametrize("text", ["", "?", "the of and", "/etc/passwd", "https://example.org/x.png", "数字"])
def test_every_text_gives_a_query(encoder: BuiltinEncoder, text: str) -> None:
    (asked,) = encoder.queries([text])
    assert len(asked.rows) >= 1
    assert asked.weights is not None
    assert asked.weights.shape == (len(asked.rows),)
    assert (asked.weights > 0).all()
    assert asked.labels is not None
    assert len(asked.labels) == len(asked.rows)


def test_words_that_tell_count_more_than_words_that_do_not(encoder: BuiltinEncoder) -> None:
    (asked,) = encoder.queries(["what is the amortization"])
    assert asked.labels is not None
    assert asked.weights is not None
    assert asked.labels[int(np.argmax(asked.weights))] == "amortization"


def test_the_fingerprint_names_the_weights(encoder: BuiltinEncoder, tmp_path: Path) -> None:
    for name in ("model.safetensors", "config.json"):
        (tmp_path / name).write_bytes((SHIPPED / name).read_bytes())
    (tmp_path / "config.json").write_text((tmp_path / "config.json").read_text().replace("0.4", "0.41"))
    other = load(f"builtin:{tmp_path}", settings=ModelSettings())
    assert other.fingerprint.weights != encoder.fingerprint.weights


def test_a_missing_or_damaged_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=str(tmp_path)):
        load(f"builtin:{tmp_path}", settings=ModelSettings())
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(ModelError, match=r"model\.safetensors"):
        load(f"builtin:{tmp_path}", settings=ModelSettings())


def test_folding_keeps_what_a_layer_computes() -> None:
    torch.manual_seed(0)
    layer = Strokes((3, 5), (3, 3))
    pages = torch.randn(2, 3, 8, 9)
    for _ in range(3):
        layer(pages)
    layer.eval()
    before = layer(pages)
    layer.fold()
    torch.testing.assert_close(layer(pages), before, atol=1e-5, rtol=1e-4)


def test_a_page_is_brought_to_one_area_whatever_its_size() -> None:
    small, large = (levels(Image.new("RGB", size))[0] for size in ((300, 200), (3000, 2000)))
    assert small.shape == large.shape


def test_a_word_that_stands_twice_counts_more_and_in_a_longer_page_less() -> None:
    def seen(*which: int) -> Seen:
        rows = np.eye(8, 9, dtype=np.float32)[list(which)]
        count = len(which)
        return Seen(
            rows, np.zeros((count, 4), np.float32), np.ones(count, np.float32), np.ones(count, np.float32)
        )

    once = weighed(seen(0, 1), Weighing()).rows[0, 0]
    twice = weighed(seen(0, 0), Weighing()).rows[0, 0]
    longer = weighed(seen(0, *([1] * 400)), Weighing()).rows[0, 0]
    assert longer < once < twice


def test_a_page_keeps_its_rarest_words_when_it_has_too_many() -> None:
    rows = np.eye(8, 9, dtype=np.float32)
    rarity = np.linspace(0.2, 0.9, 8, dtype=np.float32)
    seen = Seen(rows, np.zeros((8, 4), np.float32), rarity, np.ones(8, np.float32))
    kept = weighed(seen, Weighing(rows=3))
    assert kept.rows[:-1, :8].argmax(1).tolist() == [5, 6, 7]


def test_a_word_below_its_floor_adds_nothing(encoder: BuiltinEncoder) -> None:
    (asked,) = encoder.queries(["amortization"])
    (shown,) = encoder.pages([page("zebra wolf kiwi")])
    scores = asked.rows @ shown.rows.T
    assert scores.max() == scores[0, -1] == asked.rows[0, -1]


def test_a_page_on_which_no_word_was_seen_has_its_floor_and_scores_as_one_without_the_words(
    encoder: BuiltinEncoder,
) -> None:
    (asked,) = encoder.queries(["amortization"])
    picture, other = encoder.pages([Image.new("RGB", (700, 900), "gray"), page("zebra wolf kiwi")])
    assert picture.rows.tolist() == [[0.0] * (encoder.dim - 1) + [1.0]]
    assert (asked.rows @ picture.rows.T).max() == (asked.rows @ other.rows.T).max()


def test_a_row_scores_the_floor_plus_its_share_of_what_lies_above(encoder: BuiltinEncoder) -> None:
    (asked,) = encoder.queries(["amortization"])
    word = asked.rows[0, :-1] / np.linalg.norm(asked.rows[0, :-1])
    seen = Seen(word[None], np.zeros((1, 4), np.float32), np.ones(1, np.float32), np.ones(1, np.float32))
    row, floor = weighed(seen, Weighing()).rows
    share = 1 - row[-1]
    turn, base = np.linalg.norm(asked.rows[0, :-1]), asked.rows[0, -1]
    assert asked.rows[0] @ floor == pytest.approx(base)
    assert asked.rows[0] @ row == pytest.approx(base + turn * share * (1 - base / turn), abs=1e-4)


def test_bfloat16_and_float32_rank_alike(encoder: BuiltinEncoder) -> None:
    fast = load("builtin", settings=ModelSettings(dtype="bfloat16"))
    assert fast.fingerprint == encoder.fingerprint
    shown = [page("operating margin"), page("symptoms of fever"), page("football season")]
    (asked,) = encoder.queries(["football fever"])
    assert asked.weights is not None
    orders = [
        np.argsort(
            [-float((asked.rows @ seen.rows.T).max(1) @ asked.weights) for seen in reader.pages(shown)]
        )
        for reader in (fast, encoder)
    ]
    np.testing.assert_array_equal(*orders)


def test_the_shape_that_ships_is_the_default_but_for_the_room_for_weights() -> None:
    assert load("builtin", settings=ModelSettings()).dim == Shape().dim


def test_blank_space_is_left_out_and_every_word_stays_where_it_was(encoder: BuiltinEncoder) -> None:
    near = page("revenue by segment", "operating margin", size=(850, 1100))
    (few,) = encoder.pages([near])
    tiled = whole_tiles(levels(near)[0])
    (part,) = parts(tiled)
    assert part.cut(tiled).size < tiled.size / 4
    assert few.boxes is not None
    text = few.boxes[:-1]
    assert (text[:, 1] > 0.02).all()
    assert (text[:, 3] < 0.12).all()


def test_a_page_read_at_once_as_on_a_gpu_shows_the_words_that_its_parts_show() -> None:
    held = read_parts(SHIPPED)
    shown = page("revenue by segment", "operating margin", size=(850, 1100))
    apart, whole = (
        see(held.tower, shown, threshold=held.threshold, fast=False, at_once=at_once)
        for at_once in (False, True)
    )
    np.testing.assert_allclose(whole.boxes, apart.boxes, atol=1e-3)
    assert (whole.vectors * apart.vectors).sum(1) == pytest.approx(1, abs=1e-2)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_named() -> None:
    with pytest.raises(ModelError, match="there is no GPU for device 'cuda'; use cpu or auto"):
        load("builtin", settings=ModelSettings(device="cuda"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_a_gpu_reads_what_the_processor_reads(encoder: BuiltinEncoder) -> None:
    shown = page("revenue by segment", "operating margin", size=(850, 1100))
    (here,), (there,) = (
        reader.pages([shown])
        for reader in (encoder, load("builtin", settings=ModelSettings(device="cuda", dtype="float32")))
    )
    np.testing.assert_allclose(there.boxes, here.boxes, atol=1e-3)
    assert (there.rows * here.rows).sum(1) == pytest.approx((here.rows**2).sum(1), abs=1e-2)


def test_print_apart_is_read_in_parts_and_print_together_at_once() -> None:
    picture = np.full((20 * TILE_PX, 10 * TILE_PX), 255, np.uint8)
    assert parts(picture) == []
    picture[TILE_PX : 3 * TILE_PX, TILE_PX : 9 * TILE_PX : 2] = 0
    assert parts(picture) == [Part(0, 4, 0, 10)]
    picture[5 * TILE_PX, 5 * TILE_PX] = 0
    assert parts(picture) == [Part(0, 7, 0, 10)]
    picture[15 * TILE_PX, 2 * TILE_PX] = 0
    assert parts(picture) == [Part(0, 7, 0, 10), Part(14, 17, 1, 4)]
    dots = np.full((TILE_PX, 10 * TILE_PX), 255, np.uint8)
    dots[0, :: 9 * TILE_PX] = 0
    assert parts(dots) == [Part(0, 1, 0, 2), Part(0, 1, 8, 10)]
    assert parts(dots.T) == [Part(0, 2, 0, 1), Part(8, 10, 0, 1)]


@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=14)))
def test_all_ink_lies_in_exactly_one_part(ink: np.ndarray) -> None:
    picture = np.full((ink.shape[0] * TILE_PX, ink.shape[1] * TILE_PX), 255, np.uint8)
    picture[::TILE_PX, ::TILE_PX][ink] = 0
    times = np.zeros(ink.shape, int)
    for part in parts(picture):
        times[part.top : part.bottom, part.left : part.right] += 1
    assert (times[ink] == 1).all()


@pytest.mark.skipif(not bytes_pay(), reason="torch has no products of bytes for this processor")
def test_a_tower_in_bytes_sees_the_same_words(encoder: BuiltinEncoder, parts_shipped: Parts) -> None:
    held = parts_shipped
    in_bytes = BuiltinEncoder("builtin", held, ByteTower(held.tower, held.ranges), fast=False, at_once=False)
    shown = page("the operating margin rose in 2019", "revenue and net income", "of the second quarter")
    (exact,), (rounded,) = encoder.pages([shown]), in_bytes.pages([shown])
    likeness = exact.rows @ rounded.rows.T
    assert abs(len(exact.rows) - len(rounded.rows)) <= 2  # of words at the threshold of surety
    assert np.median(likeness.max(1)) > 0.99
    assert best(in_bytes, "What was the operating margin?", page("fever and pain"), shown) == 1


@pytest.mark.parametrize("size", [(32, 32), (64, 2016), (480, 320)])
def test_a_tower_in_bytes_gives_the_shapes_of_the_tower(parts_shipped: Parts, size: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    wanted = parts_shipped.tower.read(picture)
    found = ByteTower(parts_shipped.tower, parts_shipped.ranges).read(picture)
    for own, other in zip(found, wanted, strict=True):
        assert own.shape == other.shape
        assert own.dtype == torch.float32


@pytest.mark.skipif(not bytes_pay(), reason="torch has no products of bytes for this processor")
def test_products_that_are_wrong_are_noticed_before_they_are_used(
    parts_shipped: Parts, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert in_bytes(parts_shipped.tower, parts_shipped.ranges) is not None
    right = _Step.__call__
    monkeypatch.setattr(_Step, "__call__", lambda self, x: 255 - right(self, x))
    assert in_bytes(parts_shipped.tower, parts_shipped.ranges) is None
    assert "wrong on this machine" in caplog.text


def test_a_torch_without_products_of_bytes_reads_in_floats(
    parts_shipped: Parts, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def missing(layer: Strokes, *_: float) -> None:
        raise RuntimeError("unknown operator")

    monkeypatch.setattr("retrieve.builtin.integers._step", missing)
    assert in_bytes(parts_shipped.tower, parts_shipped.ranges) is None
    assert "unknown operator" in caplog.text


@pytest.mark.parametrize("change", [{"strokes.0": 0.0}, {"words.4": 3.0}, {"words.2": float("nan")}])
def test_ranges_that_cannot_be_are_refused(parts_shipped: Parts, change: dict[str, float]) -> None:
    (name,) = change
    with pytest.raises(ModelError, match=name):
        ByteTower(parts_shipped.tower, {**parts_shipped.ranges, **change})


def test_the_arithmetic_is_chosen_by_the_processor_unless_it_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def chosen(directory: Path, dtype: str) -> str:
        loaded = load(f"builtin:{directory}", settings=ModelSettings(dtype=dtype, device="cpu"))
        return type(loaded.tower).__name__

    for name in ("model.safetensors", "config.json"):
        (tmp_path / name).write_bytes((SHIPPED / name).read_bytes())
    for able, with_ranges in ((True, "ByteTower"), (False, "PageTower")):
        monkeypatch.setattr("retrieve.adapters.builtin.bytes_pay", lambda able=able: able)
        assert chosen(SHIPPED, "auto") == with_ranges
        assert chosen(SHIPPED, "float32") == "PageTower"
        assert chosen(tmp_path, "auto") == "PageTower"  # nobody measured its ranges
