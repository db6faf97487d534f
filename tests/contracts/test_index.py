"""What every index promises; the flat one is the yardstick of the others."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from domain.fingerprint import Fingerprint
from domain.page import Hit, page_id
from retrieve.encoder import Vectors
from retrieve.engine import Engine
from retrieve.engine_options import EngineOptions
from retrieve.flat import FlatIndex
from retrieve.index import Index

DIM = 16
STEP = 0.02
"""How far a score may be from the exact one where vectors are kept in bytes."""

Open = Callable[[], Index]


KINDS = {
    "flat": None,
    "engine": EngineOptions(),
    "engine in half precision": EngineOptions(stored="float16"),
    "engine on a device": EngineOptions(hot_bytes=20_000),
    "engine with a first stage": EngineOptions(pooled=6, candidates=30, exact_rows=40),
    "engine with all of it": EngineOptions(
        pooled=6, candidates=30, exact_rows=40, stored="float16", hot_bytes=20_000
    ),
}


@pytest.fixture(params=KINDS)
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Index]:
    options = KINDS[request.param]
    if options is None:
        yield FlatIndex()
    else:
        engine = Engine.open(
            tmp_path, fingerprint=Fingerprint("test"), dim=DIM, options=options, writable=True
        )
        yield engine
        engine.close()


def vectors(count: int, seed: int) -> Vectors:
    rows = np.random.default_rng(seed).normal(size=(count, DIM)).astype(np.float32)
    return Vectors(rows / np.linalg.norm(rows, axis=1, keepdims=True) if count else rows)


def collection(pages: int = 60) -> tuple[list[str], list[Vectors]]:
    names = [page_id(f"doc{number // 10}", number % 10 + 1) for number in range(pages)]
    return names, [vectors(number % 9 + 1, number) for number in range(pages)]


def names_of(hits: tuple[Hit, ...]) -> list[str]:
    return [hit.page for hit in hits]


def test_an_empty_index_finds_nothing(index: Index) -> None:
    assert index.nearest(vectors(3, 0), k=5) == ()
    assert len(index) == 0


def test_it_agrees_with_the_flat_index(index: Index) -> None:
    pages, rows = collection()
    flat = FlatIndex()
    for kept in (index, flat):
        kept.add(pages[:25], rows[:25])
        kept.add(pages[25:], rows[25:])
    query = Vectors(vectors(5, 999).rows, weights=np.array([1, 0.2, 3, 1, 1], dtype=np.float32))
    for within in (None, frozenset({"doc1", "doc3"}), frozenset({"doc5", "unknown"})):
        exact = flat.nearest(query, k=8, within=within)
        found = index.nearest(query, k=8, within=within)
        recall = len(set(names_of(exact)) & set(names_of(found))) / len(exact)
        assert recall >= 0.75  # the k-th page may change places with its neighbour: bytes, pooling
        scores = {hit.page: hit.score for hit in flat.nearest(query, k=60)}
        assert all(abs(hit.score - scores[hit.page]) < STEP * 6.2 for hit in found)


def test_a_page_is_found_by_its_own_vectors(index: Index) -> None:
    pages, rows = collection()
    index.add(pages, rows)
    assert [index.nearest(own, k=1)[0].page for own in rows[8::9]] == pages[8::9]


def test_the_filter_is_exact_however_few_pages_pass(index: Index) -> None:
    pages, rows = collection()
    index.add(pages, rows)
    found = index.nearest(vectors(4, 5), k=100, within=frozenset({"doc2"}))
    assert sorted(names_of(found)) == [page for page in pages if page.startswith("doc2/")]
    assert index.nearest(vectors(4, 5), k=3, within=frozenset()) == ()
    assert index.nearest(vectors(4, 5), k=3, within=frozenset({"nothing"})) == ()


def test_hits_come_in_the_one_order(index: Index) -> None:
    pages, rows = collection()
    index.add(pages, [rows[0]] * len(pages))
    found = index.nearest(rows[0], k=7)
    assert names_of(found) == sorted(pages, reverse=True)[:7]


def test_a_longer_ranking_starts_with_the_shorter_one(index: Index) -> None:
    pages, rows = collection(25)
    index.add(pages, rows)
    longer = index.nearest(rows[3], k=25)
    assert len(longer) == 25
    assert index.nearest(rows[3], k=4) == longer[:4]


def test_adding_a_page_again_replaces_it(index: Index) -> None:
    pages, rows = collection(20)
    index.add(pages, rows)
    index.add(pages[:1], [rows[17]])
    assert len(index) == 20
    assert set(names_of(index.nearest(rows[17], k=2))) == {pages[0], pages[17]}


def test_a_removed_page_is_never_found(index: Index) -> None:
    pages, rows = collection()
    index.add(pages, rows)
    index.remove([*pages[:55], "never/0001"])
    index.remove(pages[:3])
    assert len(index) == 5
    assert sorted(names_of(index.nearest(rows[0], k=60))) == sorted(pages[55:])


def test_a_page_without_vectors_is_not_held(index: Index) -> None:
    pages, rows = collection(3)
    index.add(pages, [rows[0], vectors(0, 0), rows[2]])
    assert sorted(names_of(index.nearest(rows[0], k=9))) == [pages[0], pages[2]]
    index.add([pages[0]], [vectors(0, 0)])
    assert names_of(index.nearest(rows[0], k=9)) == [pages[2]]


@pytest.mark.parametrize("k", [0, -1])
def test_asking_for_no_pages_gives_none(index: Index, k: int) -> None:
    pages, rows = collection(3)
    index.add(pages, rows)
    assert index.nearest(rows[0], k=k) == ()


def test_adding_nothing_changes_nothing(index: Index) -> None:
    index.add([], [])
    assert len(index) == 0
