"""How long a large catalogue takes to say what pages of the web interface and searches ask of it.

    .venv/bin/python -m benchmarks.catalogue --documents 20000

Made-up rows in four collections, twenty pages a document; nothing is rendered. The fastest of five calls counts.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa

from evaluation import provenance
from library.catalog import Catalog
from library.library import Library
from library.options import SearchOptions
from library.settings import Settings
from library.tables import CollectionRow, DocumentRow, JobInputRow, JobRow, PageRow

RESULTS = Path(__file__).parent / "results" / "catalogue.json"
PAGES, COLLECTIONS, CALLS, BATCH = 20, 4, 5, 1000
JOB = "job"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=20_000)
    documents = parser.parse_args().documents
    settings = Settings().changed({"arms": ("lexical",), "reranker": "none"})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        Library.open(folder, settings).close()
        fill(folder / "catalog.sqlite", documents)
        with Library.open(folder, settings) as library:
            asked = questions(library)
            rows = [{"asked": name, "ms": round(fastest(ask), 1)} for name, ask in asked.items()]
    for row in rows:
        print(f"{row['asked']:55} {row['ms']:8} ms")
    run = {
        "documents": documents,
        "pages": documents * PAGES,
        "rows": rows,
        "provenance": {"commit": provenance.commit(), "hardware": dict(provenance.hardware())},
    }
    RESULTS.write_text(json.dumps(run, indent=1) + "\n")


def questions(library: Library) -> dict[str, Callable[[], object]]:
    """What is asked, in words."""
    few = frozenset({"c0", "c1"})
    return {
        "every collection and how much is in it": library.collections,
        "a hundred documents of a collection": lambda: library.documents("c0", start=1000, most=100),
        "a collection's documents": lambda: library.documents("c0"),
        "whether a file is there already": lambda: library.twin("c0", "0" * 64),
        "a job of every document, as it stands": lambda: library.job(JOB),
        "the scope of a search in one collection": lambda: library.scope(SearchOptions(collection="c0")),
        "the scope of a key for two collections": lambda: library.scope(SearchOptions(collections=few)),
        "the scope of a filter by metadata": lambda: library.scope(SearchOptions(filters={"year": "3"})),
        "the scope of one document by its name": lambda: library.scope(SearchOptions(document="file 77")),
    }


def fill(path: Path, documents: int) -> None:
    """Write the rows of documents that were indexed."""
    catalog = Catalog(path)
    with catalog.begin() as session:
        session.execute(sa.insert(CollectionRow), [{"name": f"c{number}"} for number in range(COLLECTIONS)])
        for start in range(0, documents, BATCH):
            numbers = range(start, min(start + BATCH, documents))
            session.execute(sa.insert(DocumentRow), [_document(number) for number in numbers])
            session.execute(sa.insert(PageRow), [_page(n, p + 1) for n in numbers for p in range(PAGES)])
        session.execute(sa.insert(JobRow), [{"id": JOB, "collection": "c0", "status": "running"}])
        session.execute(sa.insert(JobInputRow), [_input(number) for number in range(documents)])
    catalog.close()


def fastest(ask: Callable[[], object]) -> float:
    """Milliseconds of the fastest call."""
    taken = []
    for _ in range(CALLS):
        start = time.perf_counter()
        ask()
        taken.append((time.perf_counter() - start) * 1e3)
    return min(taken)


def _document(number: int) -> dict[str, object]:
    return {
        "id": f"{number:032x}", "collection": f"c{number % COLLECTIONS}", "name": f"file {number}.pdf",
        "sha256": f"{number + 1:064x}", "size_bytes": 1000, "kind": "pdf", "title": f"Title {number}",
        "pages": PAGES, "state": "ready", "blob": f"{number:064x}", "replaces": None, "failure_code": None,
        "failure_message": None, "fields": {"year": str(number % 10)},
    }  # fmt: skip


def _input(number: int) -> dict[str, object]:
    return {
        "job_id": JOB, "position": number, "path": f"file {number}.pdf", "outcome": "accepted",
        "document_id": f"{number:032x}", "code": None, "message": None,
    }  # fmt: skip


def _page(document: int, number: int) -> dict[str, object]:
    return {
        "document_id": f"{document:032x}", "number": number, "state": "ready", "width_px": 1000,
        "height_px": 1400, "image": f"{number:064x}.webp", "media_type": "image/webp",
        "words": f"{number:064x}", "characters": 1000, "failure_code": None, "failure_message": None,
    }  # fmt: skip


if __name__ == "__main__":
    main()
