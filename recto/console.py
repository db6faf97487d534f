"""What every verb shares: where the library is, how results and errors are shown."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.text import Text

from domain.errors import FullDiskError, RectoError, UsageError, is_full_disk

if TYPE_CHECKING:
    from library.library import Library
    from library.settings import Settings

DONE, FAILED, WRONG_USAGE, PARTLY = 0, 1, 2, 3
INTERRUPTED = 130

out = Console(markup=False, emoji=False)
"""Names and words of documents are shown as they are spelled, whatever brackets and colons they have."""
err = Console(stderr=True, markup=False, emoji=False)


def library_directory(given: Path | None) -> Path:
    """The library that was named, by option or by RECTO_LIBRARY, or the user's own."""
    from library.settings import default_directory

    if given is not None:
        return given
    named = os.environ.get("RECTO_LIBRARY")
    return Path(named) if named else default_directory()


def open_library(given: Path | None, changes: Mapping[str, Any] | None = None) -> "Library":
    """Open the library with its settings, some of them replaced by options of the command line."""
    from library.library import Library

    directory = library_directory(given)
    return Library.open(directory, settings_of(directory, changes))


def settings_of(directory: Path, changes: Mapping[str, Any] | None = None) -> "Settings":
    """A library's settings with the options that were given put in their place."""
    from library.settings import Settings

    given = {name: value for name, value in (changes or {}).items() if value is not None}
    return Settings.load(directory).changed(given)


def arm_names(given: str | None) -> tuple[str, ...] | None:
    """Arms from an option such as `visual,lexical`."""
    if given is None:
        return None
    return tuple(part.strip() for part in given.split(",") if part.strip())


def print_json(value: object) -> None:
    """Write one JSON value to stdout, for machines."""
    typer.echo(json.dumps(value, default=_plain, ensure_ascii=False))


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)


@contextmanager
def reported() -> Iterator[None]:
    """Turn what recto refuses into a sentence on stderr and an exit code; a bug keeps its traceback."""
    try:
        yield
    except UsageError as error:
        _say(str(error))
        raise typer.Exit(WRONG_USAGE) from error
    except RectoError as error:
        _say(str(error))
        raise typer.Exit(FAILED) from error
    except KeyboardInterrupt as error:
        _say("stopped; what is committed stays, and the same command goes on from there")
        raise typer.Exit(INTERRUPTED) from error
    except BrokenPipeError as error:
        sys.stderr.close()
        raise typer.Exit(DONE) from error
    except Exception as error:  # a full disk speaks through whichever library met it; all else goes on
        if not is_full_disk(error):
            raise
        _say(str(FullDiskError()))
        raise typer.Exit(FAILED) from error


def _say(sentence: str) -> None:
    err.print(Text.assemble(("recto: ", "bold red"), sentence), soft_wrap=True)
