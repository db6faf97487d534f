"""`recto tune` and `recto calibrate`: what reranking is worth, and what its scores mean."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from recto.console import arm_names, library_directory, reported, settings_of
from recto.evaluate import part
from recto.options import ArmsOption, EncoderOption, JsonOption, LibraryOption
from recto.progress import Bars

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
    with reported(), Bars(quiet=as_json) as bars:
        verbs = part("tune_verbs")
        target = library_directory(library)
        changes = {"encoder": encoder, "arms": arm_names(arms)}
        settings = settings_of(target, changes)
        labels = verbs.Labels(
            tuple(folders or ()), collection, queries, library=target, bound=within_document,
            allow_missing=allow_missing, read_depth=depth,
        )  # fmt: skip
        names = [name for name in (reranker or [settings.reranker]) if name != "none"]
        watch = _watch(verbs, bars)
        found = verbs.tuned(labels, settings, rerankers=names, budget_ms=budget_ms, watch=watch)
        if report:
            verbs.save_tuning(found, report)
        written = verbs.apply_tuning(labels, found) if apply else None
    shown = part("tune_report")
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
    with reported(), Bars(quiet=as_json) as bars:
        verbs = part("tune_verbs")
        target = library_directory(library)
        settings = settings_of(target, {"encoder": encoder, "reranker": reranker, "rerank_depth": depth})
        labels = verbs.Labels(
            tuple(folders or ()), collection, queries, library=target, bound=within_document,
            allow_missing=allow_missing, read_depth=2 * max(settings.rerank_depth, 1),
        )  # fmt: skip
        chosen = None if kind == "auto" else kind
        found = verbs.calibrated(labels, settings, kind=chosen, watch=_watch(verbs, bars))
        if report:
            verbs.save_calibration(found, report)
        written = verbs.apply_calibration(labels, found)
    shown = part("calibrate")
    typer.echo(shown.as_json(found) if as_json else shown.markdown(found))
    typer.echo(f"written to {written}", err=True)


def _watch(verbs: Any, bars: Bars) -> Any:
    return verbs.Watch(embedding=bars.step, asking=lambda name: bars.tick(f"questions to {name}"))
