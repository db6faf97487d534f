"""`recto tune` and `recto calibrate`: what reranking is worth, and what its scores mean."""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from domain.errors import UsageError
from recto.console import arm_names, err, library_directory, reported, settings_of
from recto.options import ArmsOption, EncoderOption, JsonOption, LibraryOption

if TYPE_CHECKING:
    from library.results import Progress as Step

Folders = Annotated[
    list[Path] | None, typer.Argument(help="Folders with pdfs/, queries.jsonl and qrels.tsv.")
]
Collection = Annotated[str | None, typer.Option(help="Ask about a stored collection instead.")]
Queries = Annotated[Path | None, typer.Option(help="The questions about --collection.")]
Within = Annotated[bool, typer.Option("--within-document", help="Each question within its own document.")]
Missing = Annotated[bool, typer.Option("--allow-missing", help="Leave out what is missing.")]
Depth = Annotated[int, typer.Option(help="Pages that a reranker reads of each question.", min=1, max=1000)]
Report = Annotated[Path | None, typer.Option(help="Write JSON, Markdown and plots here.")]
Apply = Annotated[bool, typer.Option("--apply", help="Write the result into the library of --library.")]


def tune(
    folders: Folders = None,
    collection: Collection = None,
    queries: Queries = None,
    within_document: Within = False,
    allow_missing: Missing = False,
    budget_ms: Annotated[
        float | None, typer.Option(help="Milliseconds that 95% of the questions must keep.", min=1)
    ] = None,
    reranker: Annotated[
        list[str] | None,
        typer.Option(help="Rerankers to try, several times, or none. [default: the library's]"),
    ] = None,
    encoder: EncoderOption = None,
    arms: ArmsOption = None,
    depth: Depth = 200,
    report: Report = None,
    apply: Apply = False,
    library: LibraryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find the arms, weights, reranker, depth and blend that earn their time on labelled questions."""
    with reported(), _Display(quiet=as_json) as display:
        verbs = _part("tune_verbs")
        target = library_directory(library)
        changes = {"encoder": encoder, "arms": arm_names(arms)}
        settings = settings_of(target, changes)
        labels = verbs.Labels(
            tuple(folders or ()), collection, queries, library=target, bound=within_document,
            allow_missing=allow_missing, read_depth=depth,
        )  # fmt: skip
        names = [name for name in (reranker or [settings.reranker]) if name != "none"]
        found = verbs.tuned(
            labels, settings, rerankers=names, budget_ms=budget_ms, watch=display.watch(verbs)
        )
        if report:
            verbs.save_tuning(found, report)
        written = verbs.apply_tuning(labels, found) if apply else None
    shown = _part("tune_report")
    typer.echo(shown.as_json(found) if as_json else shown.markdown(found))
    if written:
        typer.echo(f"written to the settings of {written}", err=True)


def calibrate(
    folders: Folders = None,
    collection: Collection = None,
    queries: Queries = None,
    within_document: Within = False,
    allow_missing: Missing = False,
    kind: Annotated[
        Literal["auto", "temperature", "platt", "isotonic"], typer.Option(help="The curve.")
    ] = "auto",
    reranker: Annotated[str | None, typer.Option(help="The reranker. [default: the library's]")] = None,
    encoder: EncoderOption = None,
    depth: Annotated[
        int | None, typer.Option(help="Pages read of each question. [default: rerank_depth]", min=1, max=1000)
    ] = None,
    report: Report = None,
    library: LibraryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fit probabilities to the reranker's scores on labelled questions, and keep them in the library."""
    with reported(), _Display(quiet=as_json) as display:
        verbs = _part("tune_verbs")
        target = library_directory(library)
        settings = settings_of(target, {"encoder": encoder, "reranker": reranker, "rerank_depth": depth})
        labels = verbs.Labels(
            tuple(folders or ()), collection, queries, library=target, bound=within_document,
            allow_missing=allow_missing, read_depth=2 * max(settings.rerank_depth, 1),
        )  # fmt: skip
        chosen = None if kind == "auto" else kind
        found = verbs.calibrated(labels, settings, kind=chosen, watch=display.watch(verbs))
        if report:
            verbs.save_calibration(found, report)
        written = verbs.apply_calibration(labels, found)
    shown = _part("calibrate")
    typer.echo(shown.as_json(found) if as_json else shown.markdown(found))
    typer.echo(f"written to {written}", err=True)


def _part(name: str) -> Any:
    """Load a part of `evaluation` when a verb needs it: its libraries are large and optional."""
    try:
        return importlib.import_module(f"evaluation.{name}")
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{error.name} is not installed; evaluation needs `pip install 'recto[eval]'`"
        ) from error


class _Display:
    """Progress on stderr: pages embedded, and questions asked of each arm and reranker."""

    def __init__(self, *, quiet: bool) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        hidden = quiet or not err.is_terminal
        self._bars = Progress(*columns, console=err, transient=True, disable=hidden)
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def watch(self, verbs: Any) -> Any:
        """The callbacks that a recording takes."""
        return verbs.Watch(embedding=self._embedded, asking=self._asked)

    def _embedded(self, step: "Step") -> None:
        self._bars.update(self._task("pages"), completed=step.pages_done, total=step.pages_total)

    def _asked(self, name: str) -> None:
        self._bars.advance(self._task(f"questions to {name}"))

    def _task(self, name: str) -> Any:
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=None)
        return self._tasks[name]
