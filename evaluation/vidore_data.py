"""Which ViDoRe tasks to run, and where their data is: the hub, or local parquet in the official schemas."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import mteb
import pyarrow.parquet as pq

from domain.errors import UsageError

BENCHMARKS: Final[Mapping[str, str]] = {
    "v1": "ViDoRe(v1)",
    "v2": "ViDoRe(v2)",
    "v3": "ViDoRe(v3)",
    "v3.1": "ViDoRe(v3.1)",
    "v3.1-reranking": "ViDoRe(v3.1, reranking)",
}
"""Our names and mteb's."""

_QRELS = frozenset({"query-id", "corpus-id", "score"})


@dataclass(frozen=True, slots=True)
class Choice:
    """What to run: a benchmark, or one task of it, in some languages, from the hub or a folder."""

    benchmark: str = "v3.1"
    task: str | None = None
    languages: tuple[str, ...] = ()
    data: Path | None = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """Tasks that can be run, and the names of those that cannot, with the reason."""

    tasks: tuple[Any, ...]
    left_out: Mapping[str, str]


def choose(choice: Choice) -> Chosen:
    """Find the tasks and point each at its data.

    Raises:
        UsageError: there is no such benchmark, task or language, or no data for any task; or a file is in
            the schema of another version.
    """
    if choice.benchmark not in BENCHMARKS:
        raise UsageError(f"there is no benchmark {choice.benchmark!r}; there are: {', '.join(BENCHMARKS)}")
    tasks = list(mteb.get_benchmark(BENCHMARKS[choice.benchmark]).tasks)
    if choice.task is not None:
        names = sorted(task.metadata.name for task in tasks)
        tasks = [task for task in tasks if task.metadata.name == choice.task]
        if not tasks:
            raise UsageError(f"{choice.benchmark} has no task {choice.task!r}; it has: {', '.join(names)}")
    spoken = [task for task in (_in_languages(t, choice.languages) for t in tasks) if task]
    if not spoken:
        raise UsageError(f"no task of {choice.benchmark} is in {', '.join(choice.languages)}")
    found, left_out = [], {}
    for task in spoken:
        reason = _located(task, choice)
        if reason:
            left_out[task.metadata.name] = reason
        else:
            found.append(task)
    if not found:
        name, reason = next(iter(left_out.items()))
        raise UsageError(f"there is no data for any of {len(left_out)} tasks; {name}: {reason}")
    return Chosen(tuple(found), left_out)


def _in_languages(task: Any, languages: Sequence[str]) -> Any:
    """Keep a task's subsets in some languages (`eng` or `english`); None where none is left."""
    if not languages:
        return task
    wanted = []
    for subset in task.hf_subsets:
        spoken = task.metadata.eval_langs
        codes = spoken[subset] if isinstance(spoken, dict) else spoken
        if subset in languages or any(code.partition("-")[0] in languages for code in codes):
            wanted.append(subset)
    if not wanted:
        return None
    return task if wanted == list(task.hf_subsets) else task.filter_languages(None, hf_subsets=wanted)


def _located(task: Any, choice: Choice) -> str:
    """Point a task at its data; the reason where there is none."""
    if choice.data is None:
        return "" if task.metadata.is_public is not False else "its data is private"
    name, dataset = task.metadata.name, Path(task.metadata.dataset["path"]).name
    places = [choice.data / name, choice.data / dataset]
    if choice.task is not None:
        places.append(choice.data)
    for place in places:
        if (place / "README.md").is_file():
            check_schema(place, expected(task, choice.benchmark))
            task.metadata = task.metadata.model_copy(deep=True)
            task.metadata.dataset["path"] = str(place.resolve())
            task.metadata.dataset["revision"] = revision_of(place)
            return ""
    return f"no {places[0]} with a README.md that lists its `configs:` and a folder of parquet for each"


def expected(task: Any, benchmark: str) -> dict[str, frozenset[str]]:
    """The folders of a task's data and the columns that each must have, in that version's schema."""
    if benchmark in {"v1", "v2"}:
        queries = {"query-id", "query"} | ({"language"} if benchmark == "v2" else set())
        return {
            "corpus": frozenset({"corpus-id", "image"}),
            "queries": frozenset(queries),
            "qrels": _QRELS,
        }
    folders: dict[str, frozenset[str]] = {}
    for subset in task.hf_subsets:
        folders[f"{subset}-corpus"] = frozenset({"id", "image"})
        folders[f"{subset}-queries"] = frozenset({"id", "text"})
        folders[f"{subset}-qrels"] = _QRELS
        if benchmark == "v3.1-reranking":
            folders[f"{subset}-top_ranked"] = frozenset({"query-id", "corpus-ids"})
    return folders


def check_schema(place: Path, folders: Mapping[str, frozenset[str]]) -> None:
    """Refuse data in the schema of another version before anything is read.

    Raises:
        UsageError: a folder or a column is missing; names the file and what was found.
    """
    for folder, columns in folders.items():
        files = sorted((place / folder).glob("*.parquet"))
        if not files:
            have = ", ".join(sorted(p.name for p in place.iterdir() if p.is_dir())) or "none"
            raise UsageError(f"{place / folder} holds no parquet files; the folders here are: {have}")
        for file in files:
            names = set(pq.read_schema(file).names)
            names |= {"id"} if "_id" in names else set()
            if missing := columns - names:
                raise UsageError(
                    f"{file}: no column {', '.join(sorted(missing))}; it has {', '.join(sorted(names))}. "
                    "Is this the data of another version of ViDoRe?"
                )


def revision_of(place: Path) -> str:
    """A hash of every parquet file: local data has no commit."""
    whole = hashlib.sha256()
    for file in sorted(place.glob("*/*.parquet")):
        with file.open("rb") as stream:
            whole.update(f"{file.parent.name}/{file.name}".encode())
            whole.update(hashlib.file_digest(stream, "sha256").digest())
    return f"local-{whole.hexdigest()[:16]}"
