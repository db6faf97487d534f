"""The command line: one thin function a verb."""

import logging
from importlib.metadata import version
from typing import Annotated

import typer

from recto import evaluate, keys, models, training
from recto.console import out
from recto.indexing import index
from recto.listing import listed
from recto.searching import search
from recto.serving import serve
from recto.tune import calibrate, tune
from recto.upkeep import doctor, remove, verify

app = typer.Typer(
    name="recto",
    help="Ask in plain words, get the pages that hold the answer, found by looking at pages as pictures.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(index)
app.command()(search)
app.command("list")(listed)
app.command()(remove)
app.command()(verify)
app.command()(doctor)
app.command()(serve)
app.command()(tune)
app.command()(calibrate)
app.add_typer(models.app, name="models")
app.add_typer(evaluate.app, name="evaluate")
app.add_typer(training.app, name="train")
app.add_typer(keys.app, name="keys")


def _show_version(asked: bool) -> None:
    if asked:
        out.print(f"recto {version('recto')}", highlight=False)
        raise typer.Exit


@app.callback()
def start(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what is done to stderr.")] = False,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Set up logging."""
    logging.basicConfig(
        level=logging.INFO if verbose else logging.ERROR, format="%(levelname)s %(name)s: %(message)s"
    )


def main() -> None:
    """Run the command line."""
    app()
