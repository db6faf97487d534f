"""`recto list`: what a library holds."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from recto.console import open_library, out, print_json, reported
from recto.options import JsonOption, LibraryOption

if TYPE_CHECKING:
    from library.results import DocumentInfo


def listed(
    collection: Annotated[str | None, typer.Option(help="Only this collection.", show_default=False)] = None,
    library: LibraryOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the documents of a library, by collection and name, and how far each is."""
    with reported(), open_library(library) as lib:
        found = lib.documents(collection)
        if as_json:
            print_json({"documents": found})
        elif found:
            _show(found)
        else:
            out.print("this library is empty: add documents with `recto index PATH`")


def _show(found: "Sequence[DocumentInfo]") -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("collection", no_wrap=True)
    table.add_column("document", overflow="fold")
    table.add_column("pages", justify="right", no_wrap=True)
    table.add_column("status", no_wrap=True)
    table.add_column("id", no_wrap=True, style="dim")
    for info in found:
        table.add_row(info.collection, info.name, str(info.pages), info.status, info.id)
    out.print(table)
    for info in found:
        if info.failure:
            out.print(f"{info.name}: {info.failure.message}", soft_wrap=True)
