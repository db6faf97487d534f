"""`recto models`: what there is to choose from, and changing the encoder of a library."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from domain.families import FAMILIES
from recto.console import open_library, out, page_progress, print_json, reported
from recto.options import JsonOption, LibraryOption

app = typer.Typer(help="Models: list them, convert them, change a library's encoder.")

BUILTIN = (
    ("builtin", "encoder", "late interaction", "AGPL-3.0", "ships with recto; CPU"),
    ("builtin", "reranker", "score", "AGPL-3.0", "ships with recto; CPU"),
)


@app.callback(invoke_without_command=True)
def models(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the models that recto knows; any other checkpoint of these families works as `st:ORG/NAME`."""
    if context.invoked_subcommand is not None:
        return
    rows = [
        {"name": f"st:{f.checkpoint}", "role": f.role, "kind": f.kind, "licence": f.licence, "dim": f.dim,
         "vidore_v3": f.published, "source": f.source, "remark": f.remark}
        for f in FAMILIES.values()
    ]  # fmt: skip
    own = [
        {"name": name, "role": role, "kind": kind, "licence": licence, "remark": remark}
        for name, role, kind, licence, remark in BUILTIN
    ]
    if as_json:
        print_json(own + rows)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("name", "role", "kind", "licence", "ViDoRe v3", "remark"):
        table.add_column(name, no_wrap=name == "name")
    for row in own + rows:
        figure = f"{row['vidore_v3']:.3f}" if row.get("vidore_v3") else ""
        texts = (str(row[key]) for key in ("name", "role", "kind", "licence"))
        table.add_row(*texts, figure, str(row["remark"]))
    out.print(table)


@app.command()
def use(
    name: Annotated[str, typer.Argument(help="An encoder of `recto models`.", show_default=False)],
    library: LibraryOption = None,
) -> None:
    """Embed a library anew with another encoder, beside the old vectors, and swap when all is done."""
    with reported(), open_library(library) as lib:
        with page_progress(quiet=False) as watch:
            for step in lib.renew(name):
                watch(step)
        out.print(f"{lib.directory} is searched with {name} now; `recto models rollback` goes back")


@app.command()
def rollback(library: LibraryOption = None) -> None:
    """Go back to the encoder that a library was searched with before."""
    with reported(), open_library(library) as lib:
        out.print(f"{lib.directory} is searched with {lib.roll_back()} again")


@app.command()
def convert(
    source: Annotated[str, typer.Argument(help="A colpali-engine checkpoint.", show_default=False)],
    target: Annotated[Path, typer.Argument(help="Where to write it.", show_default=False)],
) -> None:
    """Bring a colpali-engine checkpoint into the layout that recto loads, and check that it agrees."""
    with reported():
        from retrieve.adapters.convert import convert as run

        run(source, target)
        out.print(f"{target} gives the same vectors as {source}; use it as `--encoder {target}`")
