"""Keeps each stage's run as it is made, so that an evaluation goes on where it was stopped."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluation.questions import Qrels
from evaluation.rank import Ranking
from evaluation.report import write_text
from evaluation.trec import read_run, trec_id, write_run


@dataclass(frozen=True, slots=True)
class RunStore:
    """TREC runs under `<directory>/<task>/<subset>/<stage>.trec`, and their times beside them."""

    directory: Path

    def path(self, task: str, subset: str, stage: str) -> Path:
        """Where a stage's run stands."""
        return self.directory / task / subset / f"{stage.replace(' ', '-')}.trec"

    def save(self, task: str, subset: str, ranking: Ranking) -> None:
        """Write a run and its times; the times are written first, the run makes both valid."""
        path = self.path(task, subset, ranking.name)
        write_text(path.with_suffix(".ms.json"), json.dumps(ranking.ms))
        write_run(path, ranking.run, tag="recto")

    def load(
        self, task: str, subset: str, stage: str, *, queries: Sequence[str], pages: Iterable[str]
    ) -> Ranking | None:
        """Read a stage's run; None where there is none, or one of other queries.

        Args:
            task: the task's name.
            subset: the language, or `default`.
            stage: which run.
            queries: every query that was asked; one without a line found nothing.
            pages: the corpus, whose ids a run may have had to encode.
        """
        path = self.path(task, subset, stage)
        if not path.is_file():
            return None
        stored = read_run(path)
        times = json.loads(path.with_suffix(".ms.json").read_text(encoding="utf-8"))
        if len(times) != len(queries):
            return None
        names = {trec_id(page): page for page in pages}
        run = {
            query: {names[page]: score for page, score in stored.get(trec_id(query), {}).items()}
            for query in queries
        }
        return Ranking(stage, run, tuple(times))

    def save_qrels(self, task: str, subset: str, qrels: Qrels) -> None:
        """Write judgements in TREC form, for other tools."""
        lines = [
            f"{trec_id(query)} 0 {trec_id(page)} {score}\n"
            for query, judged in qrels.items()
            for page, score in judged.items()
        ]
        write_text(self.directory / task / subset / "qrels.trec", "".join(lines))
