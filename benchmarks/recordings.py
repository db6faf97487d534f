"""Recordings of what arms and reranker said of folders of questions, kept so that no benchmark asks them twice."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from evaluation.recording import NO_RERANKER, Recording
from evaluation.tune_verbs import Labels, Watch, recorded
from library.settings import Settings

_RECORDING = TypeAdapter(Recording)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is recorded: the folders, how deep the settings' reranker reads, and where it is kept."""

    folders: Sequence[Path]
    settings: Settings
    depth: int
    kept: Path | None = None


def recordings(wanted: Wanted, *, bound: bool) -> dict[str, Recording]:
    """By folder; made where none is kept. `bound` asks each question within its own document."""
    return {str(folder): _recording(wanted, folder, bound=bound) for folder in wanted.folders}


def _recording(wanted: Wanted, folder: Path, *, bound: bool) -> Recording:
    path = None
    if wanted.kept:
        path = wanted.kept / f"{folder.resolve().name}-{'within' if bound else 'whole'}.json"
        if path.exists():
            return _RECORDING.validate_json(path.read_bytes())
    name = wanted.settings.reranker
    watch = Watch(
        embedding=_counted(lambda step: f"{step.document}: {step.pages_done}/{step.pages_total}", 20),
        asking=_counted(lambda asked: f"asking {asked}", 50),
    )
    labels = Labels((folder,), bound=bound, read_depth=wanted.depth)
    found = recorded(labels, wanted.settings, rerankers=[] if name == NO_RERANKER else [name], watch=watch)
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_RECORDING.dump_json(found))
    return found


def _counted(text: Callable[[Any], str], every: int) -> Callable[[Any], None]:
    calls = iter(range(1_000_000_000))

    def show(value: Any) -> None:
        if next(calls) % every == 0:
            print(text(value), flush=True)

    return show
