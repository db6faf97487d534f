"""`recto keys`: who may use a library over HTTP."""

from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from recto.console import library_directory, out, print_json, reported
from recto.options import JsonOption, LibraryOption
from service.keys import Key, KeyRing

app = typer.Typer(help="API keys: make, list and revoke them.", no_args_is_help=True)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="A name by which you will know the key.", show_default=False)],
    scope: Annotated[str, typer.Option("--scope", help="read, write (also reads) or admin (all).")] = "read",
    collection: Annotated[
        list[str] | None,
        typer.Option("--collection", help="Only this collection; may be repeated.", show_default=False),
    ] = None,
    library: LibraryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key and print it; it cannot be shown again."""
    with reported():
        ring = KeyRing(library_directory(library))
        key = ring.create(name, [scope], collection or None)
        if as_json:
            print_json({"key": key, **_shown(ring.keys()[-1])})
        else:
            out.print(key, highlight=False, soft_wrap=True)


@app.command("list")
def list_keys(library: LibraryOption = None, as_json: JsonOption = False) -> None:
    """List the keys, without their secrets."""
    with reported():
        keys = KeyRing(library_directory(library)).keys()
        if as_json:
            print_json([_shown(key) for key in keys])
            return
        table = Table("id", "name", "scope", "collections", "made", box=None)
        for key in keys:
            limits = "all" if key.collections is None else ", ".join(key.collections)
            table.add_row(key.id, key.name, ", ".join(key.scopes), limits, key.created)
        out.print(table if keys else "there is no key; `recto keys create NAME` makes one")


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="The id that `recto keys list` shows.", show_default=False)],
    library: LibraryOption = None,
) -> None:
    """Revoke a key; a running service refuses it from its next request on."""
    with reported():
        gone = KeyRing(library_directory(library)).revoke(key_id)
        out.print(f"the key {gone.name} ({gone.id}) was revoked", highlight=False)


def _shown(key: Key) -> dict[str, object]:
    return {name: value for name, value in asdict(key).items() if name != "secret_sha256"}
