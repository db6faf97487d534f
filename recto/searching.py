"""`recto search`: ranked pages out."""

import tempfile
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from domain.errors import UsageError
from recto.console import arm_names, err, open_library, out, print_json, reported
from recto.options import (
    ArmsOption,
    BudgetOption,
    EncoderOption,
    JsonOption,
    LibraryOption,
    RerankerOption,
    RerankOption,
)

if TYPE_CHECKING:
    from library.library import Library
    from library.options import RerankDepth
    from library.results import FoundPage, SearchResult


def search(
    query: Annotated[str, typer.Argument(help="What the page should say.", show_default=False)],
    k: Annotated[int, typer.Option("-k", help="Pages to return.")] = 10,
    collection: Annotated[str | None, typer.Option(help="Only this collection.", show_default=False)] = None,
    document: Annotated[str | None, typer.Option(help="Only this document.", show_default=False)] = None,
    filters: Annotated[
        list[str] | None, typer.Option("--filter", help="field=value of the metadata.", show_default=False)
    ] = None,
    rerank: RerankOption = "auto",
    budget_ms: BudgetOption = None,
    arms: ArmsOption = None,
    encoder: EncoderOption = None,
    reranker: RerankerOption = None,
    library: LibraryOption = None,
    as_json: JsonOption = False,
    open_page: Annotated[bool, typer.Option("--open", help="Show the picture of the first page.")] = False,
) -> None:
    """Find the pages that answer a question."""
    changes = {"encoder": encoder, "reranker": reranker, "arms": arm_names(arms)}
    with reported(), open_library(library, changes) as lib:
        from library.options import SearchOptions

        options = SearchOptions(
            k=k,
            collection=collection,
            document=document,
            filters=_filters(filters or []),
            rerank=rerank_depth(rerank),
            budget_ms=budget_ms,
        )
        result = lib.search(query, options)
        if as_json:
            print_json(machine(result))
        else:
            _show(result)
        if open_page and result.hits:
            _open(lib, result.hits[0])


def rerank_depth(text: str) -> "RerankDepth":
    """`auto`, `off`, or a number of pages.

    Raises:
        UsageError: it is neither.
    """
    if text == "auto":
        return "auto"
    if text == "off":
        return "off"
    if text.isdecimal():
        return int(text)
    raise UsageError(f"--rerank is auto, off or a number of pages, not {text!r}")


def machine(result: "SearchResult") -> dict[str, object]:
    """A result as JSON: the same shape as the service's."""
    return {
        "query": result.query,
        "hits": [
            {
                "page_id": hit.page_id,
                "document_id": hit.document_id,
                "document": hit.document,
                "collection": hit.collection,
                "page": hit.page,
                "printed": hit.printed,
                "score": hit.score,
                "probability": hit.probability,
                "stages": [{"stage": m.stage, "rank": m.rank, "score": m.score} for m in hit.stages],
                "snippet": hit.snippet,
            }
            for hit in result.hits
        ],
        "timings_ms": {name: round(ms, 3) for name, ms in result.timings_ms.items()},
        "arms": list(result.arms),
        "reranked": result.reranked,
        "notes": list(result.notes),
    }


def _filters(texts: list[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    for text, (name, equals, _) in zip(texts, pairs, strict=True):
        if not name or not equals:
            raise UsageError(f"--filter takes field=value, not {text!r}")
    return {name: value for name, _, value in pairs}


def _number(hit: "FoundPage") -> str:
    return f"{hit.page} (printed {hit.printed})" if hit.printed else str(hit.page)


def _show(result: "SearchResult") -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, justify in (("", "right"), ("document", "left"), ("page", "right"), ("score", "right")):
        table.add_column(name, justify=justify, no_wrap=name != "document")  # type: ignore[arg-type]  # literals
    table.add_column("text", ratio=1)
    for rank, hit in enumerate(result.hits, start=1):
        sure = f" {hit.probability:.0%}" if hit.probability is not None else ""
        table.add_row(
            str(rank), hit.document, _number(hit), f"{hit.score:.3f}{sure}", hit.snippet, style=None
        )
    if result.hits:
        out.print(table)
    else:
        out.print("no page was found")
    for note in result.notes:
        err.print(note, style="yellow", soft_wrap=True)
    reranked = f", {result.reranked} pages reranked" if result.reranked else ", not reranked"
    err.print(
        f"{', '.join(result.arms)} answered{reranked}, {result.timings_ms['total']:.0f} ms", style="dim"
    )


def _open(lib: "Library", hit: "FoundPage") -> None:
    picture = lib.image(hit.page_id)
    suffix = ".png" if picture.media_type == "image/png" else ".jpg"
    with tempfile.NamedTemporaryFile(prefix="recto-", suffix=suffix, delete=False) as file:
        file.write(picture.data)
    if not webbrowser.open(Path(file.name).as_uri()):
        err.print(f"no viewer was found; the page is in {file.name}")
