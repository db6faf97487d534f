import os
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import StoreError
from domain.page import Box, Word
from ingest.engine import Frame, Text
from ingest.layer import STEPS, pack, plain, unpack
from ingest.limits import Limits
from ingest.wire import ClosedError, LateError, Message, OversizeError, receive, send
from ingest.words import clean

SIDES = st.tuples(*(st.integers(0, STEPS),) * 4)
SIZES = st.floats(0.01, 1e10)


@given(st.text(), st.lists(st.tuples(st.text(min_size=1), SIDES), max_size=5))
def test_a_packed_layer_is_unpacked_as_it_was(text, words):
    text = clean(text)
    texts = [clean(word) or "x" for word, _ in words]
    boxes = [side for _, sides in words for side in sides]
    layer = unpack(pack(text, texts, boxes))
    assert layer.text == text
    assert [word.text for word in layer.words] == texts
    assert [round(s * STEPS) for w in layer.words for s in (w.box.x0, w.box.y0, w.box.x1, w.box.y1)] == boxes


def test_a_layer_by_hand():
    data = pack("net sales", ["net", "sales"], [0, 0, 5_000, 100, 5_000, 0, 10_000, 100])
    assert unpack(data).words == (Word("net", Box(0, 0, 0.5, 0.01)), Word("sales", Box(0.5, 0, 1, 0.01)))


@pytest.mark.parametrize(
    "data", [b"", b"noise", pack("a", [], [])[:-3], zlib.compress(b"[]"), zlib.compress(b"{}")]
)
def test_a_damaged_layer_is_refused(data):
    with pytest.raises(StoreError, match="damaged"):
        unpack(data)


def test_a_layer_that_inflates_without_end_is_refused():
    with pytest.raises(StoreError, match="damaged"):
        unpack(zlib.compress(b" " * 100_000_000))


def test_words_without_four_sides_each_are_refused():
    with pytest.raises(ValueError, match="4 sides"):
        pack("a", ["a"], [1, 2, 3])


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ([], ""),
        (["one"], "one"),
        (["one", "two"], "one\ntwo"),
        (["amorti-", "sation"], "amortisation"),
        (["amorti\u00ad", "sation"], "amortisation"),
        (["10-", "20"], "10-\n20"),
        (["Smith-", "Jones"], "Smith-\nJones"),
        (["a-", "b-", "c"], "abc"),
    ],
)
def test_lines_are_joined_and_hyphens_healed(lines, text):
    assert plain(lines) == text


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        ("plain", "plain"),
        (" a\x00b\x07 ", "ab"),
        ("\ufffd\ufffd", ""),
        ("\ue000", ""),
        ("\ud800x", "x"),
        ("営業", "営業"),
        ("e\u0301", "e\u0301"),
    ],
)
def test_what_cannot_be_read_is_dropped(raw, kept):
    assert clean(raw) == kept


def test_a_box_is_held_to_the_page():
    text = Text()
    text.add("out", Frame(0, 0, 100, 100), (-50, 50, 200, float("nan")), new_line=True)
    assert text.boxes == [0, 5_000, 10_000, 0]


@given(SIZES, SIZES)
def test_no_page_is_larger_than_its_limits_whatever_its_size_in_points(width, height):
    limits = Limits()
    zoom = limits.zoom(width, height)
    assert 0 < zoom <= limits.max_zoom
    assert width * zoom * height * zoom <= limits.max_pixels * 1.000001
    assert max(width, height) * zoom <= limits.max_side_px * 1.000001


def test_an_ordinary_page_has_its_resolution():
    assert Limits(dpi=144).zoom(595, 842) == 2.0
    assert Limits(dpi=144).zoom(842, 595) == 2.0


@pytest.mark.parametrize("size", [(0, 5), (5, -1), (float("nan"), 5)])
def test_a_page_without_extent_is_refused(size):
    with pytest.raises(ValueError, match="two sides above zero"):
        Limits().zoom(*size)


@pytest.fixture
def pipe():
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            continue  # the test closed it


def test_a_message_arrives_as_it_was_sent(pipe):
    send(pipe[1], Message({"number": 7, "text": "é"}, b"\0\1"))
    assert receive(pipe[0], max_bytes=1_000) == Message({"number": 7, "text": "é"}, b"\0\1")


def test_a_message_longer_than_allowed_is_not_read(pipe):
    send(pipe[1], Message({}, b"x" * 100))
    with pytest.raises(OversizeError, match="102 bytes"):
        receive(pipe[0], max_bytes=50)


def test_noise_is_not_a_message(pipe):
    os.write(pipe[1], b"\0\0\0\4\0\0\0\0nope")
    with pytest.raises(OversizeError):
        receive(pipe[0], max_bytes=50)


def test_a_message_cut_off_is_told_from_one_that_is_late(pipe):
    os.write(pipe[1], b"\0\0\0\4")
    with pytest.raises(LateError):
        receive(pipe[0], max_bytes=50, deadline=0.0)
    os.close(pipe[1])
    with pytest.raises(ClosedError):
        receive(pipe[0], max_bytes=50)
