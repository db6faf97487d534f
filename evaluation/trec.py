"""TREC runs: written so that any tool reads the order that was served, and read back."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import numpy as np

from domain.errors import UsageError

Scores = Mapping[str, Mapping[str, float]]
"""Query id to corpus id to score, the form that scoring tools take."""


def falling(scores: Sequence[float]) -> list[float]:
    """Turn the scores of a ranking, best first, into single-precision scores that fall strictly.

    trec_eval keeps scores in single precision and breaks ties by falling document id. A ranking that was
    reordered in part, or scores that differ in the twelfth digit only, would therefore be scored in another
    order than the one that was served. Each score is kept to single precision where it falls below the one
    before it, and is the next number below that one where it does not.

    Raises:
        ValueError: a score is not finite.
    """
    bottom = np.float32(-np.inf)
    before = np.float32(np.inf)
    out: list[float] = []
    for score in scores:
        value = np.float32(score)
        if not np.isfinite(value):
            raise ValueError(f"not a finite score: {score}")
        before = value if value < before else np.nextafter(before, bottom)
        out.append(float(before))
    return out


def trec_id(text: str) -> str:
    """Write an id as one TREC column: white space is percent-encoded, anything else stays."""
    return "".join(quote(c) if c.isspace() else c for c in text) if any(map(str.isspace, text)) else text


def write_run(path: Path, run: Scores, *, tag: str) -> None:
    """Write `query Q0 page rank score tag` lines, best first, under a temporary name, then rename.

    Args:
        path: the file; its folder is made.
        run: strictly falling scores, as `falling` makes them; equal ones stand in trec order.
        tag: what made the run; without white space.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with partial.open("w", encoding="utf-8") as file:
            for query, pages in run.items():
                file.writelines(_rows(query, pages, trec_id(tag)))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def trec_order(pages: Mapping[str, float]) -> list[tuple[str, float]]:
    """Order as trec_eval does: falling single-precision score, then falling id."""
    return sorted(pages.items(), key=lambda item: (np.float32(item[1]), item[0]), reverse=True)


def _rows(query: str, pages: Mapping[str, float], tag: str) -> Iterable[str]:
    for rank, (page, score) in enumerate(trec_order(pages), start=1):
        yield f"{trec_id(query)} Q0 {trec_id(page)} {rank} {score:.9g} {tag}\n"


def read_run(path: Path) -> dict[str, dict[str, float]]:
    """Read a TREC run.

    Raises:
        UsageError: a line is not `query Q0 page rank score tag`, or a page stands twice; names file and line.
    """
    run: dict[str, dict[str, float]] = {}
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            cells = line.split()
            try:
                query, _, page, _, score, _ = cells
                value = float(score)
            except ValueError:
                raise UsageError(f"{path}:{number}: expected 'query Q0 page rank score tag'") from None
            if page in run.setdefault(query, {}):
                raise UsageError(f"{path}:{number}: page {page!r} stands twice for query {query!r}")
            run[query][page] = value
    return run
