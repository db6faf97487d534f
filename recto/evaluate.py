"""`recto evaluate`: ViDoRe and one's own questions, through the pipeline that is served."""

import importlib
import json
from pathlib import Path
from typing import Annotated, Any, Self

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from domain.errors import UsageError
from library.options import RerankDepth, SearchOptions

app = typer.Typer(help="Evaluate retrieval on ViDoRe or on your own questions.", no_args_is_help=True)

DEPTH = 100
Json = Annotated[bool, typer.Option("--json", help="Results as JSON on stdout.")]
Arms = Annotated[str | None, typer.Option(help="First-stage arms, such as visual,lexical.")]
Rerank = Annotated[str, typer.Option(help="auto, off, or how many pages to rerank.")]
Encoder = Annotated[str | None, typer.Option(help="The encoder, a name of `recto models`.")]
Reranker = Annotated[str | None, typer.Option(help="The reranker, a name of `recto models`, or none.")]
LibraryDir = Annotated[Path | None, typer.Option("--library", help="The library to index into or to ask.")]


def _part(name: str) -> Any:
    """Load a part of `evaluation` when a verb needs it: its libraries are large and optional."""
    try:
        return importlib.import_module(f"evaluation.{name}")
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{error.name} is not installed; evaluation needs `pip install 'recto[eval]'`"
        ) from error


@app.command("pages")
def pages(
    directory: Annotated[
        Path | None, typer.Argument(help="A folder with pdfs/, queries.jsonl and qrels.tsv.")
    ] = None,
    collection: Annotated[str | None, typer.Option(help="Ask a stored collection instead.")] = None,
    queries: Annotated[Path | None, typer.Option(help="The questions about --collection.")] = None,
    qrels: Annotated[
        Path | None, typer.Option(help="Their judgements; qrels.tsv beside them if absent.")
    ] = None,
    within_document: Annotated[
        bool, typer.Option("--within-document", help="Rank each question within its own document.")
    ] = False,
    run: Annotated[Path | None, typer.Option(help="Write the ranking in TREC form.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write report.json, .md, .html and runs here.")] = None,
    baseline: Annotated[
        Path | None, typer.Option(help="A report; exit 1 where a figure fell by more than chance.")
    ] = None,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Leave out what is missing.")
    ] = False,
    arms: Arms = None,
    rerank: Rerank = "auto",
    encoder: Encoder = None,
    reranker: Reranker = None,
    library: LibraryDir = None,
    as_json: Json = False,
) -> None:
    """Evaluate your own questions: a folder of PDFs, questions and judgements, or a stored collection."""
    verbs = _part("verbs")
    source = verbs.Source(directory, collection, queries, qrels, library)
    outputs = verbs.Outputs(run, report, baseline)
    with _Display() as display:
        plan = verbs.Plan(
            options=search_options(arms, rerank),
            bound=within_document,
            allow_missing=allow_missing,
            embedding=lambda step: display.show("embedding pages", step.pages_done, step.pages_total),
            asking=display.tick,
        )
        verdict = verbs.pages(source, plan, outputs, settings=_settings(encoder=encoder, reranker=reranker))
    _told(verdict, outputs, as_json=as_json)
    raise typer.Exit(verdict.code)


@app.command("compare")
def compare(
    first: Annotated[Path, typer.Argument(help="A report.json or its folder.")],
    second: Annotated[Path, typer.Argument(help="Another, on the same questions.")],
    as_json: Json = False,
) -> None:
    """Compare two reports question by question: differences, intervals and a paired randomisation test."""
    verbs = _part("verbs")
    _, _, found = verbs.compared(first, second)
    if as_json:
        typer.echo(json.dumps([verbs.as_json(c) for c in found], indent=1))
    else:
        typer.echo(_part("markdown").comparison(found, str(first), str(second)))


def search_options(arms: str | None, rerank: str) -> SearchOptions:
    """Options of the evaluated pipeline, to the depth that is scored.

    Raises:
        UsageError: rerank is neither auto, off nor a whole number.
    """
    depth: RerankDepth
    if rerank == "auto":
        depth = "auto"
    elif rerank == "off":
        depth = "off"
    elif rerank.isascii() and rerank.isdecimal():
        depth = int(rerank)
    else:
        raise UsageError(f"--rerank is auto, off or a number of pages, not {rerank!r}")
    return SearchOptions(k=DEPTH, rerank=depth, arms=tuple(arms.split(",")) if arms else None)


def _settings(**chosen: str | None) -> dict[str, str]:
    return {name: value for name, value in chosen.items() if value is not None}


def _told(verdict: Any, outputs: Any, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(_part("verbs").summary(verdict, outputs), indent=1))
        return
    markdown, found = _part("markdown"), verdict.outcome.report
    parts = [markdown.headline(found), markdown.stages(found)]
    parts += [markdown.lifts(found)] if found.lifts else []
    parts += [markdown.grounding(found)] if found.grounding else []
    typer.echo("\n\n".join(parts))
    for failure in verdict.outcome.failed:
        typer.echo(f"not indexed: {failure.path}: {failure.failure.message}", err=True)
    for kind, count in found.left_out.items():
        typer.echo(f"left out: {count} {kind}", err=True)
    for c in verdict.regressed:
        typer.echo(f"regression: {c.measure} fell from {c.first:.3f} to {c.second:.3f}", err=True)


class _Display:
    """Progress on stderr: one bar for embedding, one for each stage that is asked."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bars = Progress(*columns, console=Console(stderr=True), transient=True)
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def show(self, name: str, done: int, total: int) -> None:
        """Set a bar."""
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=total)
        self._bars.update(self._tasks[name], completed=done, total=total)

    def tick(self, name: str) -> None:
        """Advance a bar whose length is not known."""
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=None)
        self._bars.advance(self._tasks[name])
