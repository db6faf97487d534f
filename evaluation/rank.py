"""Asks the questions: one served pipeline a stage, one query at a time, with the time that each took."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from domain.errors import EngineError
from domain.page import Hit, Query
from domain.run import Answer, Run
from evaluation.corpus import Names
from evaluation.trec import Scores, falling
from library.options import SearchOptions

FIRST = "first stage"
WHOLE = "pipeline"
_UNREAD = "not reranked: engine "


class Searcher(Protocol):
    """What of a library is evaluated: the pipeline that it serves."""

    def run(self, queries: Sequence[Query], options: SearchOptions = ...) -> Run:
        """Answer queries."""
        ...


@dataclass(frozen=True, slots=True)
class Configuration:
    """A stage of the report: its name and the options with which the library is asked."""

    name: str
    options: SearchOptions


@dataclass(frozen=True, slots=True)
class Ranking:
    """What one configuration answered: strictly falling scores by corpus id, and milliseconds a query."""

    name: str
    run: Scores
    ms: tuple[float, ...]


def configurations(
    options: SearchOptions, arms: Sequence[str], *, reranked: bool
) -> tuple[Configuration, ...]:
    """The stages of a pipeline, each one a pipeline of its own: every arm, their fusion, and the whole.

    Args:
        options: of the whole pipeline.
        arms: the arms that it joins.
        reranked: whether a reranker follows.
    """
    first = replace(options, rerank="off", arms=tuple(arms))
    stages = [Configuration(arm, replace(first, arms=(arm,))) for arm in arms] if len(arms) > 1 else []
    stages.append(Configuration(FIRST, first))
    if reranked:
        stages.append(Configuration(WHOLE, replace(options, arms=tuple(arms))))
    return tuple(stages)


def rank(
    searcher: Searcher,
    queries: Sequence[Query],
    corpus: Names,
    *,
    configuration: Configuration,
    tick: Callable[[str], None] = lambda _: None,
) -> Ranking:
    """Answer every query as a lone one would be answered, so that the times are those of a person's search.

    Args:
        searcher: the library.
        queries: each with its scope.
        corpus: names the pages.
        configuration: what is asked.
        tick: called with the stage's name after each query.

    Raises:
        EngineError: a remote reranker failed; a search would go on without it, figures must not.
    """
    run: dict[str, dict[str, float]] = {}
    times: list[float] = []
    for query in queries:
        start = time.perf_counter()
        answer = searcher.run((query,), configuration.options).answers[0]
        times.append((time.perf_counter() - start) * 1000)
        _refuse_unread(answer)
        run[query.id] = named(answer.hits, corpus)
        tick(configuration.name)
    return Ranking(configuration.name, run, tuple(times))


def _refuse_unread(answer: Answer) -> None:
    for note in answer.notes:
        if note.startswith(_UNREAD):
            raise EngineError(
                f"question {answer.query.id}: {note}; figures would be those of the first stage. Run the same "
                "command again when the engine answers; nothing is embedded twice"
            )


def named(hits: Sequence[Hit], corpus: Names) -> dict[str, float]:
    """Corpus ids and strictly falling scores, in the order that was served."""
    found = [(name, hit.score) for hit in hits for name in corpus.corpus_ids(hit.page)]
    scores = falling([score for _, score in found])
    return {name: score for (name, _), score in zip(found, scores, strict=True)}
