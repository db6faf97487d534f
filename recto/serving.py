"""`recto serve`: the HTTP service and its web page."""

from pathlib import Path
from typing import Annotated

import typer

from recto.console import err, open_library, reported
from recto.options import LibraryOption


def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than this need keys.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8000,
    record_judgements: Annotated[
        bool,
        typer.Option(help="Keep which pages people open and judge, for `recto evaluate export`."),
    ] = False,
    reports: Annotated[
        Path | None, typer.Option(help="Show the reports in this folder; default: `reports` of the library.")
    ] = None,
    library: LibraryOption = None,
) -> None:
    """Serve a library over HTTP, with a page to upload and to search."""
    with reported(), open_library(library) as lib:
        from service.main import serve as run
        from service.settings import ServiceSettings

        err.print(f"recto serves {lib.directory} at http://{host}:{port} (Ctrl-C ends it)", soft_wrap=True)
        chosen = ServiceSettings(host=host, port=port, record_judgements=record_judgements, reports=reports)
        run(lib, chosen)
