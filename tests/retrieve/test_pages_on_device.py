"""Many pages in one call on a device: the same scores as one by one, within a budget."""

import logging

import numpy as np
import pytest
import torch

from retrieve import pages_on_device
from retrieve.encoder import Vectors
from retrieve.maxsim import Kind, Quantised, Scorer, quantised
from retrieve.pages_on_device import BLOCK, PagesOnDevice, hot_pages

LENGTHS = np.array([1, 31, 32, 33, 100, 7, 64, 3])
UIDS = np.arange(len(LENGTHS)) * 10 + 5
BLOCKS = int((-(-LENGTHS // BLOCK)).sum())


def unit(count: int, dim: int, seed: int) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class Shelf:
    """Pages on the host, and how often each was read."""

    def __init__(self, dim: int, kind: Kind) -> None:
        self.pages = [quantised(unit(int(n), dim, int(n)), kind) for n in LENGTHS]
        self.read: list[int] = []

    def __getitem__(self, at: int) -> Quantised:
        self.read.append(at)
        return self.pages[at]

    def scores(self, scorer: Scorer) -> list[float]:
        spans = [np.array([[0], [len(page.scales)]]) for page in self.pages]
        return [
            float(scorer.scores(page.codes, page.scales, span)[0])
            for page, span in zip(self.pages, spans, strict=True)
        ]


def room(blocks: int, dim: int, kind: Kind) -> PagesOnDevice:
    size = BLOCK * (dim * (1 if kind == "int8" else 2) + 4)
    return PagesOnDevice(torch.device("cpu"), budget_bytes=blocks * size, dim=dim, kind=kind)


@pytest.mark.parametrize("kind", ["int8", "float16"])
@pytest.mark.parametrize("blocks", [0, 1, 2, 5, BLOCKS, 100])
@pytest.mark.parametrize("dim", [20, 128, 1100])
def test_scores_are_those_of_the_processor_whatever_the_budget(kind: Kind, blocks: int, dim: int) -> None:
    scorer = Scorer(Vectors(unit(9, dim, 1), weights=unit(1, 9, 2)[0]))
    shelf, device = Shelf(dim, kind), room(blocks, dim, kind)
    for _ in range(2):
        assert device.scores(scorer, UIDS, LENGTHS, shelf.__getitem__).tolist() == shelf.scores(scorer)


def test_a_page_is_read_once_while_it_is_asked_for() -> None:
    shelf, device, scorer = Shelf(16, "int8"), room(BLOCKS, 16, "int8"), Scorer(Vectors(unit(2, 16, 1)))
    for _ in range(3):
        device.scores(scorer, UIDS, LENGTHS, shelf.__getitem__)
    assert sorted(shelf.read) == list(range(len(UIDS)))
    assert len(device) == len(UIDS)


def test_the_page_not_asked_for_longest_leaves_first() -> None:
    shelf, device, scorer = Shelf(16, "int8"), room(3, 16, "int8"), Scorer(Vectors(unit(2, 16, 1)))
    for at in (0, 1, 2, 0, 5):  # one block each: the second page must go
        device.scores(scorer, UIDS[at : at + 1], LENGTHS[at : at + 1], lambda _, at=at: shelf[at])
    assert shelf.read == [0, 1, 2, 5]
    device.scores(scorer, UIDS[:1], LENGTHS[:1], shelf.__getitem__)
    assert shelf.read == [0, 1, 2, 5]
    device.scores(scorer, UIDS[1:2], LENGTHS[1:2], lambda _: shelf[1])
    assert shelf.read == [0, 1, 2, 5, 1]


def test_asking_for_no_pages_gives_no_scores() -> None:
    device = room(3, 16, "int8")
    none = np.zeros(0, dtype=np.int64)
    assert device.scores(
        Scorer(Vectors(unit(2, 16, 1))), none, none, Shelf(16, "int8").__getitem__
    ).shape == (0,)


def test_a_device_that_refuses_is_warned_of_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pages_on_device.refused.cache_clear()
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert hot_pages("cpu", 1e18, dim=128, kind="int8") is None
    assert len(caplog.records) == 1
    assert "on the processor" in caplog.text
    assert hot_pages("cpu", 0, dim=128, kind="int8") is None
    pages_on_device.refused.cache_clear()
