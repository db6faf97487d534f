"""Other ways to rank the same pages, each behind one call."""

import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import maxsim_cpu
import numpy as np
import torch
from numpy.typing import NDArray
from qdrant_client import QdrantClient, models

from retrieve.encoder import Floats, Vectors
from retrieve.maxsim import Scorer, quantised

Ranking = Callable[[Floats], NDArray[np.int64]]
DEPTH = 100
RESCORED = 400


@dataclass(frozen=True)
class Contender:
    """Something that ranks pages: from query rows to page numbers, best first."""

    name: str
    rank: Ranking
    build_s: float = 0.0
    disk_bytes: int = 0
    memory_bytes: int = 0
    apart: bool = False
    """It works in another process, whose processor time is not counted."""


def brute_force(pages: Floats, dtype: torch.dtype) -> Contender:
    """Every product in torch."""
    start = time.perf_counter()
    tokens = torch.from_numpy(pages).to(dtype)

    def rank(query: Floats) -> NDArray[np.int64]:
        own = torch.from_numpy(query).to(dtype).t()
        scores = [(some @ own).amax(dim=1).float().sum(dim=1) for some in tokens.split(32)]
        return torch.cat(scores).topk(DEPTH).indices.numpy()

    size = tokens.element_size() * tokens.numel()
    return Contender(
        f"torch {str(dtype).removeprefix('torch.')}", rank, time.perf_counter() - start, size, size
    )


def maxsim(pages: Floats) -> Contender:
    """The maxsim-cpu library, fp32."""
    return Contender(
        "maxsim-cpu",
        lambda query: np.argsort(-np.asarray(maxsim_cpu.maxsim_scores(query, pages)))[:DEPTH],
        memory_bytes=pages.nbytes,
    )


def fast_plaid(pages: Floats, folder: Path, python: Path) -> Contender:
    """The fast-plaid library with its defaults, in the environment of `python`; see `retrieval_plaid`."""
    source, index = folder / "pages.npy", folder / "plaid"
    np.save(source, pages)
    script = Path(__file__).with_name("retrieval_plaid.py")
    child = subprocess.Popen(
        [python, script, source, index, str(torch.get_num_threads())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    if child.stdin is None or child.stdout is None:
        raise RuntimeError("the child has no pipes")
    asked = Connection(os.dup(child.stdin.fileno()), readable=False)
    answers = Connection(os.dup(child.stdout.fileno()), writable=False)
    seconds = float(answers.recv())
    source.unlink()

    def rank(query: Floats) -> NDArray[np.int64]:
        asked.send_bytes(query.tobytes())
        return np.asarray(answers.recv())

    size = sum(path.stat().st_size for path in index.rglob("*") if path.is_file())
    return Contender("fast-plaid", rank, seconds, size, size, apart=True)


def qdrant(pages: Floats) -> Contender:
    """The qdrant client's local mode, late interaction over everything."""
    start = time.perf_counter()
    client = QdrantClient(":memory:")
    late = models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM)
    client.create_collection(
        "pages",
        vectors_config=models.VectorParams(
            size=pages.shape[2], distance=models.Distance.DOT, multivector_config=late
        ),
    )
    for first in range(0, len(pages), 50):
        points = [
            models.PointStruct(id=first + at, vector=page.tolist())
            for at, page in enumerate(pages[first : first + 50])
        ]
        client.upsert("pages", points)

    def rank(query: Floats) -> NDArray[np.int64]:
        found = client.query_points("pages", query=query.tolist(), limit=DEPTH)
        return np.array([point.id for point in found.points])

    return Contender("qdrant local", rank, time.perf_counter() - start, 0, pages.nbytes)


def single_vector(pages: Floats) -> Contender:
    """One mean vector a page, then the best 400 compared exactly."""
    start = time.perf_counter()
    means = pages.mean(axis=1)
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    rank = _rescored(pages, lambda query: means @ query.mean(axis=0))
    return Contender("mean vector + exact", rank, time.perf_counter() - start, 0, means.nbytes)


def muvera(pages: Floats, *, bits: int = 5, width: int = 16, repeats: int = 10) -> Contender:
    """Fixed-dimensional encodings of 5,120 numbers, then the best 400 compared exactly.

    Source: Dhulipala et al., 2024 (MUVERA).
    """
    start = time.perf_counter()
    rng = np.random.default_rng(0)
    planes = rng.normal(size=(repeats, pages.shape[2], bits)).astype(np.float32)
    signs = (rng.integers(0, 2, size=(repeats, pages.shape[2], width)) * 2 - 1).astype(np.float32)
    powers = 1 << np.arange(bits)
    corners = (np.arange(1 << bits)[:, None] & powers) > 0
    apart = (corners[:, None] != corners[None]).sum(axis=2)

    def encoded(rows: Floats, *, document: bool) -> Floats:
        parts = []
        for plane, sign in zip(planes, signs, strict=True):
            cell = ((rows @ plane > 0) * powers).sum(axis=1)
            member = (cell[None] == np.arange(1 << bits)[:, None]).astype(np.float32)
            sums = member @ (rows @ sign)
            if document:
                counts = member.sum(axis=1)
                filled = np.flatnonzero(counts)
                sums[filled] /= counts[filled, None]
                empty = np.flatnonzero(counts == 0)
                sums[empty] = sums[filled[apart[np.ix_(empty, filled)].argmin(axis=1)]]
            parts.append(sums.ravel())
        return np.concatenate(parts)

    table = np.stack([encoded(page, document=True) for page in pages])
    rank = _rescored(pages, lambda query: table @ encoded(query, document=False))
    return Contender("MUVERA 5120 + exact", rank, time.perf_counter() - start, 0, table.nbytes)


def _rescored(pages: Floats, first: Callable[[Floats], Floats]) -> Ranking:
    count, tokens, dim = pages.shape
    stored = quantised(pages.reshape(-1, dim))
    bounds = np.arange(count + 1) * tokens

    def rank(query: Floats) -> NDArray[np.int64]:
        near = np.argsort(-first(query))[:RESCORED]
        spans = np.stack([bounds[near], bounds[near + 1]])
        scores = Scorer(Vectors(query)).scores(stored.codes, stored.scales, spans)
        return near[np.argsort(-scores)][:DEPTH]

    return rank
