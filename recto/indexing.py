"""`recto index`: documents in."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer
from rich.filesize import decimal
from rich.text import Text

from recto.console import (
    DONE,
    FAILED,
    PARTLY,
    arm_names,
    err,
    open_library,
    out,
    print_json,
    reported,
)
from recto.options import ArmsOption, CollectionOption, EncoderOption, JsonOption, LibraryOption
from recto.progress import page_progress

if TYPE_CHECKING:
    from library.estimate import Estimate
    from library.library import Library
    from library.results import IndexReport, Progress

SHOWN = 20
"""Failures listed one by one; the rest are counted (all are in --json)."""


def index(
    paths: Annotated[
        list[Path], typer.Argument(help="PDFs, images, or folders of them.", show_default=False)
    ],
    collection: CollectionOption = "default",
    library: LibraryOption = None,
    encoder: EncoderOption = None,
    arms: ArmsOption = None,
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Let a checkpoint run code of its own.")
    ] = False,
    as_json: JsonOption = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it would cost; index nothing.")
    ] = False,
) -> None:
    """Make the pages of documents searchable. Ctrl-C stops after the current batch; run again to go on."""
    changes = {"encoder": encoder, "arms": arm_names(arms), "trust_remote_code": trust_remote_code or None}
    with reported(), open_library(library, changes) as lib:
        if dry_run:
            _show_estimate(lib.estimate(paths), as_json=as_json)
            return
        report = _run(lib, paths, collection, quiet=as_json)
        if as_json:
            print_json(_machine(report))
        else:
            _show(report, lib)
        raise typer.Exit(_code(report))


def _run(lib: "Library", paths: list[Path], collection: str, *, quiet: bool) -> "IndexReport":
    with page_progress(quiet=quiet) as watch, _after_batch() as stop:

        def step(progress: "Progress") -> None:
            watch(progress)
            if stop:
                raise KeyboardInterrupt

        return lib.index(paths, collection=collection, progress=step)


@contextmanager
def _after_batch() -> Iterator[list[int]]:
    """Collect Ctrl-C, so that the batch under way is finished; a second one stops at once."""
    asked: list[int] = []

    def ask(number: int, _frame: FrameType | None) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)
        err.print("stopping after the current batch; press Ctrl-C again to stop at once")

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)


def _machine(report: "IndexReport") -> dict[str, object]:
    return {
        "documents": report.documents,
        "pages": report.pages,
        "failed": [
            {"path": f.path, "page": f.page, "code": f.failure.code, "message": f.failure.message}
            for f in report.failed
        ],
        "skipped": [{"path": s.path, "reason": s.reason} for s in report.skipped],
        "seconds": round(report.seconds, 3),
        "lacks": report.lacks,
    }


def _show(report: "IndexReport", lib: "Library") -> None:
    rate = report.pages / report.seconds if report.seconds else 0.0
    out.print(
        f"{report.documents} documents, {report.pages} pages in {report.seconds:.1f} s "
        f"({rate:.1f} pages/s) -> {lib.directory}",
        soft_wrap=True,
    )
    if report.lacks:
        err.print(f"note: {report.lacks}", soft_wrap=True)
    if report.skipped:
        out.print(f"{len(report.skipped)} skipped, they are in the collection already")
    for item in report.failed[:SHOWN]:
        place = f"{item.path}, page {item.page}" if item.page else item.path
        sentence = f"{place}: {item.failure.message}"
        err.print(Text.assemble((f"{item.failure.code}: ", "bold red"), sentence), soft_wrap=True)
    if len(report.failed) > SHOWN:
        err.print(f"and {len(report.failed) - SHOWN} more; --json lists all")


def _show_estimate(estimate: "Estimate", *, as_json: bool) -> None:
    if as_json:
        print_json(estimate)
        return
    out.print(
        f"{estimate.documents} documents, {estimate.pages} pages: about "
        f"{decimal(estimate.disk_bytes)} on disk, {decimal(estimate.vector_bytes)} of it vectors that searches "
        f"map into memory, and {estimate.seconds:.0f} s (measured on {estimate.sampled} of the pages)",
        soft_wrap=True,
    )
    for item in estimate.failed[:SHOWN]:
        err.print(
            Text.assemble((f"{item.failure.code}: ", "bold red"), f"{item.path}: {item.failure.message}")
        )


def _code(report: "IndexReport") -> int:
    if not report.failed:
        return DONE
    return PARTLY if report.documents or report.skipped else FAILED
