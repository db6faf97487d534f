"""Misspelled words of a question: the term of the text index that is spelled most like one that it lacks."""

from collections import Counter
from collections.abc import Sequence

import tantivy
from rapidfuzz import process
from rapidfuzz.distance import OSA

FIELDS = ("text", "title", "metadata")
"""What is indexed of a page word by word; its text once more by stems, in `stem`."""

LONG = 9
"""From so many letters on a word may be misspelled twice."""

MOST_TERMS = 100_000
"""Terms of one first letter that are compared with a misspelled word, the most frequent ones."""

NEAR = 20
"""Terms spelled like a word that are looked for in the scope."""


def nearest(
    searcher: tantivy.Searcher, word: str, stems: Sequence[str], scope: tantivy.Query | None
) -> str | None:
    """The term that pages hold and that is spelled most like a word that no page holds.

    One letter may be missing, too many, another, or have changed places with its neighbour; from `LONG` letters on two,
    but never the first. Of several terms it is the one on most pages.

    Args:
        searcher: of the text index.
        word: in lower case, without accents.
        stems: the word's stems, as the index knows them.
        scope: the pages that count; None: all.

    Returns:
        None where pages hold the word or its stem, or nothing like it.
    """
    held = [*((field, word) for field in FIELDS), *(("stem", stem) for stem in stems)]
    if any(_pages(searcher, field, term, scope) for field, term in held):
        return None
    pages = Counter[str]()
    for field in ("text", "title"):
        pages.update(dict(searcher.terms_with_prefix(field, word[:1], limit=MOST_TERMS)))
    known = [term for term in pages if term.isalpha()]
    edits = 1 if len(word) < LONG else 2
    alike = process.extract(word, known, scorer=OSA.distance, score_cutoff=edits, limit=None)
    best = sorted((distance, -pages[term], term) for term, distance, _ in alike)[:NEAR]
    found = (term for _, _, term in best if any(_pages(searcher, f, term, scope) for f in ("text", "title")))
    return next(found, None)


def _pages(searcher: tantivy.Searcher, field: str, term: str, scope: tantivy.Query | None) -> int:
    """On how many pages of the scope a term stands in a field; removed pages may count until they are merged away."""
    if scope is None:
        return int(searcher.doc_freq(field, term))
    return int(dict(searcher.terms_with_prefix(field, term, filter_query=scope)).get(term, 0))
