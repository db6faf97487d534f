"""`recto doctor`, `recto verify`, `recto remove`: looking after a library."""

import importlib.metadata
import platform
import shutil
from typing import TYPE_CHECKING, Annotated

import typer

from recto.console import DONE, FAILED, library_directory, open_library, out, print_json, reported
from recto.options import JsonOption, LibraryOption

if TYPE_CHECKING:
    from library.library import Library

PACKAGES = ("recto", "torch", "faiss-cpu", "faiss-gpu", "pymupdf", "tantivy", "sentence-transformers")


def verify(
    library: LibraryOption = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Rebuild what is damaged; read what older versions did not.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check every file of a library against its catalogue."""
    with reported(), open_library(library) as lib:
        report = lib.verify(repair=repair)
        if as_json:
            print_json(report)
        else:
            out.print(", ".join(f"{count} {what}" for what, count in report.checked.items()) + " checked")
            for sentence in report.damaged:
                out.print(f"damaged: {sentence}", soft_wrap=True)
            for sentence in report.repaired:
                out.print(f"repaired: {sentence}", soft_wrap=True)
            for name in report.lost:
                out.print(f"lost: the original of {name}; add it again with `recto index`", soft_wrap=True)
            if report.damaged and not repair:
                out.print("run `recto verify --repair` to rebuild what can be rebuilt")
        whole = not report.lost if repair else not report.damaged
        raise typer.Exit(DONE if whole else FAILED)


def remove(
    document: Annotated[str, typer.Argument(help="Name or id of a document.", show_default=False)],
    collection: Annotated[str | None, typer.Option(help="In this collection.", show_default=False)] = None,
    library: LibraryOption = None,
) -> None:
    """Delete a document: its pages, its vectors and its file in the library."""
    with reported(), open_library(library) as lib:
        from library.options import SearchOptions

        found = sorted(lib.scope(SearchOptions(collection=collection, document=document)) or ())
        names = [lib.document(document_id).name for document_id in found]
        lib.remove(*found)
        for name in names:
            out.print(f"{name} was removed")


def doctor(library: LibraryOption = None, as_json: JsonOption = False) -> None:
    """Say what this machine has and whether the library can be used."""
    with reported():
        facts = {**_machine(), **_programs()}
        with open_library(library) as lib:
            facts |= _library(lib)
        if as_json:
            print_json(facts)
            return
        width = max(map(len, facts))
        for name, value in facts.items():
            out.print(f"{name:<{width}}  {value}", soft_wrap=True, highlight=False)


def _machine() -> dict[str, str]:
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none; models run on the CPU"
    return {
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
        "gpu": gpu,
        **{name: found for name in PACKAGES if (found := _version(name))},
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _programs() -> dict[str, str]:
    missing = {
        "pdftoppm": "missing: PDFs that MuPDF refuses cannot be tried with poppler (package poppler-utils)",
        "tesseract": "missing: scans and words in pictures are read by sight only (package tesseract-ocr)",
    }
    return {name: shutil.which(name) or sentence for name, sentence in missing.items()}


def _library(lib: "Library") -> dict[str, str]:
    collections = lib.collections()
    pages = sum(c.pages for c in collections)
    return {
        "library": str(library_directory(lib.directory)),
        "collections": ", ".join(c.name for c in collections) or "none yet",
        "pages": f"{pages} in {sum(c.documents for c in collections)} documents",
        "arms": ", ".join(lib.settings.arms),
        "encoder": lib.settings.encoder,
        "reranker": lib.settings.reranker,
    }
