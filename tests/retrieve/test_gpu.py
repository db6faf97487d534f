"""FAISS on a GPU is optional: whatever the GPU says, the first stage answers.

A pretended GPU takes the very calls that a real one takes; its cells stay in memory.
"""

import logging
from collections.abc import Iterator
from types import SimpleNamespace

import faiss
import numpy as np
import pytest
import torch

from retrieve import gpu
from retrieve.encoder import Vectors
from retrieve.first_stage import FirstStage
from retrieve.maxsim import Scorer

DIM = 16
UIDS = np.arange(1, 301)


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """What was found out of a pretended GPU must not outlive the test."""
    gpu.gpus.cache_clear()
    gpu.said.cache_clear()
    yield
    gpu.gpus.cache_clear()
    gpu.said.cache_clear()


def pages() -> np.ndarray:
    rows = np.random.default_rng(0).normal(size=(300, 6, DIM)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=2, keepdims=True)


def built() -> FirstStage:
    own = pages()
    first = FirstStage.fitted(UIDS, lambda at: own[at], dim=DIM, count=6, lengths=np.repeat(6, 300))
    first.take(first.part(UIDS[:200], lambda at: own[at]))
    first.take(first.part(UIDS[200:], lambda at: own[200 + at]))
    return first


def candidates(first: FirstStage, page: int) -> list[int]:
    scorer = Scorer(Vectors(pages()[page]))
    return first.candidates([scorer], wanted=[20], alive=first.alive(UIDS))[0].tolist()


def pretend(monkeypatch: pytest.MonkeyPatch, count: int = 1) -> list[faiss.Index]:
    """FAISS as it is with GPUs, as far as it is called; the indexes that it was given."""
    given: list[faiss.Index] = []

    def placed(index: faiss.Index, co: SimpleNamespace) -> faiss.Index:
        assert co.shard
        assert co.useFloat16
        given.append(index)
        return index

    gpu.gpus.cache_clear()
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: count)
    monkeypatch.setattr(faiss, "StandardGpuResources", object, raising=False)
    monkeypatch.setattr(faiss, "GpuMultipleClonerOptions", SimpleNamespace, raising=False)
    monkeypatch.setattr(faiss, "GpuParameterSpace", faiss.ParameterSpace, raising=False)
    monkeypatch.setattr(faiss, "index_cpu_to_all_gpus", placed, raising=False)
    monkeypatch.setattr(gpu, "first_gpu", lambda: torch.device("cpu"))
    return given


@pytest.mark.parametrize("count", [1, 2])
def test_the_cells_of_a_gpu_find_what_those_of_the_processor_find(
    monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    plain = built()
    given = pretend(monkeypatch, count)
    first = built()
    assert [index.ntotal for index in given] == [300 * 4]
    assert isinstance(given[0], faiss.IndexIVFScalarQuantizer)
    for page in (0, 150, 250):
        found = candidates(first, page)
        assert page + 1 in found
        assert len(set(found) & set(candidates(plain, page))) > 10


def test_a_filtered_search_and_a_deep_one_run_on_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch)
    first = built()
    monkeypatch.setattr(gpu.GpuCells, "search", None)  # asking the GPU would fail
    half = first.alive(UIDS[::2])
    assert first.candidates([Scorer(Vectors(pages()[0]))], wanted=[20], alive=half)[0][0] == 1
    monkeypatch.setattr(gpu, "LARGEST", 10)
    assert candidates(first, 3)


def test_without_a_gpu_there_are_no_cells_on_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 0)
    assert gpu.GpuCells.of(faiss.index_factory(DIM, "IVF2,SQ8", faiss.METRIC_INNER_PRODUCT)) is None


def refuse(*_: object, **__: object) -> faiss.Index:
    raise RuntimeError("out of memory")


@pytest.mark.parametrize("when", ["placed", "filled"])
def test_a_gpu_that_refuses_is_warned_of_once_and_the_first_stage_still_answers(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, when: str
) -> None:
    expected = candidates(built(), 3)
    pretend(monkeypatch)
    if when == "placed":
        monkeypatch.setattr(faiss, "index_cpu_to_all_gpus", refuse)
    else:
        monkeypatch.setattr(faiss.IndexIVFScalarQuantizer, "add_with_ids", refuse)
    with caplog.at_level(logging.WARNING):
        assert candidates(built(), 3) == expected
        assert candidates(built(), 3) == expected
    assert [record.getMessage() for record in caplog.records] == [
        "the first stage runs on the processor, the GPU refused it: out of memory"
    ]
