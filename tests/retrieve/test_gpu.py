"""FAISS on a GPU is optional: whatever the GPU says, the index answers."""

import logging
from collections.abc import Iterator
from types import SimpleNamespace

import faiss
import numpy as np
import pytest

from retrieve import gpu


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """What was found out of a pretended GPU must not outlive the test."""
    gpu.gpus.cache_clear()
    gpu.said.cache_clear()
    yield
    gpu.gpus.cache_clear()
    gpu.said.cache_clear()


def flat() -> faiss.Index:
    index = faiss.IndexFlatIP(2)
    index.add(np.eye(2, dtype=np.float32))
    return index


def test_without_a_gpu_the_index_stays_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 0)
    index = flat()
    assert gpu.placed(index) is index


def test_a_gpu_that_refuses_is_warned_of_once_and_the_index_still_answers(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_index: faiss.Index, co: SimpleNamespace) -> faiss.Index:
        assert co.shard
        assert co.useFloat16
        raise RuntimeError("out of memory")

    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 1)
    monkeypatch.setattr(faiss, "StandardGpuResources", object, raising=False)
    monkeypatch.setattr(faiss, "GpuMultipleClonerOptions", SimpleNamespace, raising=False)
    monkeypatch.setattr(faiss, "index_cpu_to_all_gpus", refuse)
    index = flat()
    with caplog.at_level(logging.WARNING):
        assert gpu.placed(index) is index
        assert gpu.placed(index) is index
    assert [record.getMessage() for record in caplog.records] == [
        "the first stage runs on the processor, the GPU refused it: out of memory"
    ]
