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

    def search(self, query: Vectors, *, k: int, within: frozenset[str] | None = None) -> tuple[Hit, ...]:
        """Rank the k best pages of the documents in `within` (None: all)."""
        ...


class TextSearch(Protocol):
    """What the lexical stage needs of an index."""

    def search(self, text: str, *, k: int, within: frozenset[str] | None = None) -> tuple[Hit, ...]:
        """Rank the k best pages of the documents in `within` (None: all)."""
        ...


def search(encoder: QueryEncoder, engine: VectorSearch, *, k: int, name: str = "visual") -> Stage:
    """Embed the queries in one call and rank the k nearest pages of each; replaces what was found."""

    def stage(run: Run) -> Run:
        vectors = encoder.queries([answer.query.text for answer in run.answers])
        return Run(
            tuple(
                replace(answer, hits=marked(engine.search(own, k=k, within=answer.query.within), name))
                for answer, own in zip(run.answers, vectors, strict=True)
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
