"""The search stages: they fill a run's answers with ranked pages, marked with the stage's name."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from domain.page import Hit
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

    def search(self, text: str, *, k: int, within: frozenset[str] | None = None) -> tuple[Hit, ...]:
        """Rank the k best pages of the documents in `within` (None: all)."""
        ...


def search(encoder: QueryEncoder, engine: VectorSearch, *, k: int, name: str = "visual") -> Stage:
    """Embed the queries in one call and rank the k nearest pages of each, those of one scope in one call too."""

    def stage(run: Run) -> Run:
        vectors = encoder.queries([answer.query.text for answer in run.answers])
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

    def stage(run: Run) -> Run:
        return Run(
            tuple(
                replace(
                    answer,
                    hits=marked(index.search(answer.query.text, k=k, within=answer.query.within), name),
                )
                for answer in run.answers
            )
        )

    return stage
