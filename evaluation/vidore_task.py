"""What is in a loaded ViDoRe task: its languages, questions and judgements."""

import re
from collections.abc import Mapping
from typing import Any, Final

from evaluation.questions import Question

_CANDIDATES: Final = r"(BM25s|BGEm3|Qwen3VLEmbedding2B|Nemotron35Embed8B)?(HL)?(Retrieval|Reranking)(\.v2)?$"


def corpus_of(task: str) -> str:
    """The pages that a task of mteb asks about, such as `Vidore3FinanceEn`; several tasks share them."""
    return re.sub(_CANDIDATES, "", task)


def data_of(task: Any) -> dict[str, Any]:
    """The loaded data of each subset; ViDoRe has one split, `test`."""
    return {subset: task.dataset[subset][task.eval_splits[0]] for subset in task.hf_subsets}


def judged_only(task: Any) -> None:
    """Leave out queries that nothing was judged for, as mteb does before it asks."""
    for data in data_of(task).values():
        judged = {query for query, pages in data["relevant_docs"].items() if pages}
        kept = [place for place, query in enumerate(data["queries"]["id"]) if query in judged]
        data["queries"] = data["queries"].select(kept)
        data["relevant_docs"] = {query: data["relevant_docs"][query] for query in sorted(judged)}


def asked(task: Any) -> list[tuple[Question, Mapping[str, int]]]:
    """Every question of every language with its judgements; several languages prefix the ids."""
    found = []
    for subset, data in data_of(task).items():
        for name, text in zip(data["queries"]["id"], data["queries"]["text"], strict=True):
            judged = data["relevant_docs"].get(name, {})
            if any(score > 0 for score in judged.values()):
                question = Question(named(task, subset, name), text, None, {"language": subset})
                found.append((question, judged))
    return found


def named(task: Any, subset: str, query: str) -> str:
    """A query's id in a report over several languages."""
    return f"{subset}:{query}" if len(task.hf_subsets) > 1 else query
