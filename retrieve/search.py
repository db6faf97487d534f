"""The search stages: they fill a run's answers with ranked pages, marked with the stage's name."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from domain.page import ALSO, Hit, Query
from domain.run import Run, marked
from domain.stage import Stage
from retrieve.encoder import Vectors


class QueryEncoder(Protocol):
    """What the search stage needs of an encoder."""

    def queries(self, texts: Sequence[str]) -> list[Vectors]:
        """Embed query texts, in order."""
        ...


class VectorSearch(Protocol):
    """What the visual stage needs of an engine."""

    def search_many(
        self, queries: Sequence[Vectors], *, k: int, within: frozenset[str] | None = None
    ) -> list[tuple[Hit, ...]]:
        """Rank the k best pages of the documents in `within` (None: all) for each query."""
        ...


class TextSearch(Protocol):
    """What the lexical stage needs of an index."""

    def search(
        self, text: str, *, k: int, within: frozenset[str] | None = None, also: Sequence[str] = ()
    ) -> tuple[Hit, ...]:
        """Rank the k best pages of the documents in `within` (None: all); words of `also` count `ALSO`."""
        ...


def embedded(encoder: QueryEncoder, queries: Sequence[Query]) -> list[Vectors]:
    """Embed queries with what pages may say in their place, which counts `ALSO` where the encoder names its tokens."""
    vectors = encoder.queries([query.whole for query in queries])
    weighed = [at for at, query in enumerate(queries) if query.also and vectors[at].labels]
    alone = encoder.queries([queries[at].text for at in weighed]) if weighed else []
    for at, own in zip(weighed, alone, strict=True):
        vectors[at] = _weighed(vectors[at], own.labels or ())
    return vectors


def _weighed(whole: Vectors, own: Sequence[str]) -> Vectors:
    """The tokens of a question and of what pages may say in its place; all but its `own` count less."""
    counts = np.array([1.0 if label in own else ALSO for label in whole.labels or ()], np.float32)
    return replace(whole, weights=counts if whole.weights is None else counts * whole.weights)


def search(encoder: QueryEncoder, engine: VectorSearch, *, k: int, name: str = "visual") -> Stage:
    """Embed the queries in one call and rank the k nearest pages of each, those of one scope in one call too."""

    def stage(run: Run) -> Run:
        vectors = embedded(encoder, [answer.query for answer in run.answers])
        scopes: dict[frozenset[str] | None, list[int]] = {}
        for place, answer in enumerate(run.answers):
            scopes.setdefault(answer.query.within, []).append(place)
        found: dict[int, tuple[Hit, ...]] = {}
        for within, places in scopes.items():
            hits = engine.search_many([vectors[place] for place in places], k=k, within=within)
            found.update(zip(places, hits, strict=True))
        return Run(
            tuple(
                replace(answer, hits=marked(found[place], name)) for place, answer in enumerate(run.answers)
            )
        )

    return stage


def lexical(index: TextSearch, *, k: int, name: str = "lexical") -> Stage:
    """Rank the k pages whose words match best; replaces what was found."""

    def found(query: Query) -> tuple[Hit, ...]:
        return marked(index.search(query.text, k=k, within=query.within, also=query.also), name)

    def stage(run: Run) -> Run:
        return Run(tuple(replace(answer, hits=found(answer.query)) for answer in run.answers))

    return stage
