"""`recto models`: what there is to choose from, and changing the encoder of a library."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from domain.families import FAMILIES
from recto.console import open_library, out, print_json, reported
from recto.options import JsonOption, LibraryOption
from recto.progress import page_progress

app = typer.Typer(help="Models: list them, convert them, change a library's encoder.")

BUILTIN = (
    ("builtin", "encoder", "late interaction", "AGPL-3.0", "ships with recto; CPU"),
    ("builtin", "reranker", "score", "AGPL-3.0", "ships with recto; CPU"),
)

_WIDE = 120
_HEADS = {"visual_tokens": "tokens", "vidore_v3": "ViDoRe v3"}


@app.callback(invoke_without_command=True)
def models(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the models that recto knows; any other checkpoint of these families works as `st:ORG/NAME`."""
    if context.invoked_subcommand is not None:
        return
    rows = [
        {"name": f"st:{f.checkpoint}", "role": f.role, "kind": f.kind, "licence": f.licence, "dim": f.dim,
         "visual_tokens": f.tokens or None, "revision": f.revision or None, "vidore_v3": f.published,
         "source": f.source, "remark": f.remark}
        for f in FAMILIES.values()
    ]  # fmt: skip
    own = [
        {"name": name, "role": role, "kind": kind, "licence": licence, "remark": remark}
        for name, role, kind, licence, remark in BUILTIN
    ]
    if as_json:
        print_json(own + rows)
        return
    shown = ["name", "role", "kind", "licence", "dim", "visual_tokens", "vidore_v3", "remark"]
    if out.width < _WIDE:
        shown = ["name", "role", "licence", "dim", "vidore_v3"]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in shown:
        table.add_column(_HEADS.get(name, name), no_wrap=name not in ("kind", "licence", "remark"))
    for row in own + rows:
        table.add_row(*(_cell(row.get(key)) for key in shown))
    out.print(table)


def _cell(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value or "")


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
