"""How far a search looks: the more pages there are, the more come nearly as near (docs/decisions/0097)."""

from retrieve.engine_options import EngineOptions

MORE = 3
"""Times `candidates` that are scored exactly, at most, where questions and pages are short."""
COMPARED = (4000, 8000)
"""Pages that are compared by their pooled vectors, at least and at most."""
COMPARED_SHARE = 1 / 6
"""Between these, the share of the pages that may be found."""
DEPTH = 800
"""Vectors asked for a query token, at least, and the step in which more are."""
DEPTH_SHARE = 1 / 6
"""More are asked for while there are so many pages for each."""
HITS = 48 * DEPTH
"""Vectors asked for all tokens of a query together, unless there are so many tokens that each has the least."""


def asked(tokens: int, pages: int, *, most: int) -> int:
    """Vectors to ask for each of a query's tokens where so many pages may be found; `most` is the index's own limit."""
    steps = int(min(most, HITS / tokens, pages * DEPTH_SHARE)) // DEPTH
    return DEPTH * max(1, steps)


def compared(pages: int, wanted: int) -> int:
    """Pages to compare by their pooled vectors where `wanted` of so many are to be looked at exactly."""
    least, most = COMPARED
    return max(least, min(most, int(pages * COMPARED_SHARE)), 2 * wanted)


def scored(k: int, options: EngineOptions, *, tokens: int, rows: float) -> int:
    """Pages to score exactly for the k best, by a query's tokens and the vectors of a page."""
    short = rows <= options.pooled  # nothing is lost by pooling
    more = 1 if short else int(options.products / (tokens * rows * options.candidates))
    return max(4 * k, options.candidates * max(1, min(more, MORE)))
