"""`recto evaluate`: ViDoRe and one's own questions, through the pipeline that is served."""

import importlib
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from domain.errors import UsageError
from library.options import SearchOptions
from recto.console import DONE, PARTLY, arm_names, library_directory, open_library, print_json, reported
from recto.options import ArmsOption, EncoderOption, JsonOption, RerankerOption, RerankOption
from recto.options import LibraryOption as StoredLibraryOption
from recto.progress import Bars
from recto.searching import rerank_depth

DEPTH = 100
"""How many pages of each ranking are scored."""

app = typer.Typer(help="Evaluate retrieval on ViDoRe or on your own questions.", no_args_is_help=True)

LibraryOption = Annotated[
    Path | None,
    typer.Option(
        "--library",
        help="Index the folder into this library, in a collection of its own, or ask what is in it with --collection; "
        "a cache if absent.",
    ),
]


def part(name: str) -> Any:
    """Load a part of `evaluation` when a verb needs it: its libraries are large and optional."""
    try:
        return importlib.import_module(f"evaluation.{name}")
    except ModuleNotFoundError as error:
        raise UsageError(f"{error.name} is missing; evaluation needs: pip install 'recto[eval]'") from error


@app.command("pages")
def pages(
    directories: Annotated[
        list[Path] | None,
        typer.Argument(help="A folder with pdfs/, queries.jsonl and qrels.tsv; several give one report."),
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
    arms: ArmsOption = None,
    rerank: RerankOption = "auto",
    encoder: EncoderOption = None,
    reranker: RerankerOption = None,
    library: LibraryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Evaluate your own questions: a folder of PDFs, questions and judgements, or a stored collection."""
    with reported():
        verbs = part("verbs")
        stored = library_directory(library) if collection is not None else library
        folders: list[Path | None] = [*directories] if directories else [None]
        sources = [verbs.Source(folder, collection, queries, qrels, stored) for folder in folders]
        outputs = verbs.Outputs(run, report, baseline)
        with Bars(quiet=as_json) as bars:
            plan = verbs.Plan(
                options=SearchOptions(k=DEPTH, rerank=rerank_depth(rerank), arms=arm_names(arms)),
                bound=within_document,
                allow_missing=allow_missing,
                embedding=bars.step,
                asking=bars.tick,
            )
            chosen = {"encoder": encoder, "reranker": reranker}
            if len(sources) > 1:
                verdict = verbs.suite(sources, plan, outputs, settings=chosen)
            else:
                verdict = verbs.pages(sources[0], plan, outputs, settings=chosen)
        if as_json:
            print_json(verbs.summary(verdict, outputs))
        else:
            _told(verdict)
        raise typer.Exit(verdict.code)


@app.command("vidore")
def vidore(
    benchmark: Annotated[str, typer.Option(help="v1, v2, v3, v3.1 or v3.1-reranking.")] = "v3.1",
    task: Annotated[str | None, typer.Option(help="One task of it, by mteb's name.")] = None,
    languages: Annotated[str | None, typer.Option(help="Such as eng,fra or english,french.")] = None,
    data: Annotated[
        Path | None, typer.Option(help="Local parquet, one folder a task; without it, the hub.")
    ] = None,
    results: Annotated[Path, typer.Option(help="Where results, runs and reports go.")] = Path(
        "vidore-results"
    ),
    arms: ArmsOption = None,
    rerank: RerankOption = "auto",
    encoder: EncoderOption = None,
    reranker: RerankerOption = None,
    library: LibraryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Evaluate on ViDoRe through mteb: the first stage alone and the whole pipeline."""
    with reported():
        if data is not None:
            os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}  # before mteb is imported
        vidore_part, served, choosing = part("vidore"), part("served"), part("vidore_data")
        spoken = tuple(languages.split(",")) if languages else ()
        choice = choosing.Choice(benchmark, task, spoken, data)
        chosen = {"encoder": encoder, "reranker": reranker}
        with Bars(quiet=as_json) as bars:
            setup = vidore_part.Setup(
                results=results,
                options=SearchOptions(k=DEPTH, rerank=rerank_depth(rerank), arms=arm_names(arms)),
                settings={name: value for name, value in chosen.items() if value is not None},
                library=library,
                watch=served.Watch(
                    embedding=bars.step,
                    asking=bars.tick,
                ),
            )
            outcome = vidore_part.evaluate(choice, setup)
        if as_json:
            print_json(vidore_part.machine_summary(outcome))
        else:
            typer.echo(vidore_part.summary(outcome))
        raise typer.Exit(PARTLY if outcome.left_out else DONE)


@app.command("compare")
def compare(
    first: Annotated[Path, typer.Argument(help="A report.json or its folder.")],
    second: Annotated[Path, typer.Argument(help="Another, on the same questions.")],
    as_json: JsonOption = False,
) -> None:
    """Compare two reports question by question: differences, intervals and a paired randomisation test."""
    with reported():
        verbs = part("verbs")
        found = verbs.compared(first, second)
        if as_json:
            print_json([verbs.as_json(one) for one in found])
        else:
            typer.echo(part("markdown").comparison(found, str(first), str(second)))


@app.command("export")
def export(
    log: Annotated[
        Path, typer.Argument(help='JSON lines: {"query", "page_id", "score"}; a click has no score.')
    ],
    directory: Annotated[Path, typer.Argument(help="The folder to write; `recto evaluate pages` reads it.")],
    library: StoredLibraryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write clicks or judgements collected while people searched as a folder of your own questions."""
    with reported(), open_library(library) as stored:
        done = part("export").export(stored, log, directory)
        if as_json:
            print_json(done)
        else:
            typer.echo(
                f"{done.questions} questions, {done.judgements} judgements, {done.documents} documents"
            )


def _told(verdict: Any) -> None:
    markdown, found = part("markdown"), verdict.outcome.report
    tables = [
        markdown.headline(found),
        markdown.stages(found),
        markdown.lifts(found),
        markdown.grounding(found),
    ]
    if verdict.parts:
        tables.insert(0, markdown.overview([part.outcome.report for part in verdict.parts]))
        tables.append(f"{found.provenance.seconds:.0f} s in all")
    typer.echo("\n\n".join(table for table in tables if table))
    for failure in verdict.outcome.failed:
        typer.echo(f"not indexed: {failure.path}: {failure.failure.message}", err=True)
    for kind, count in found.left_out.items():
        typer.echo(f"left out: {count} {kind}", err=True)
    for one in verdict.regressed:
        typer.echo(f"regression: {one.measure} fell from {one.first:.3f} to {one.second:.3f}", err=True)
