"""Misspelled words of a question: what the text index holds in place of one that it lacks."""

from collections import Counter
from collections.abc import Callable, Sequence

import tantivy
from rapidfuzz import process
from rapidfuzz.distance import OSA

from retrieve.words import STOP_WORDS, content

FIELDS = ("text", "title", "metadata")
"""What is indexed of a page word by word; its text once more by stems, in `stem`."""

LONG = 9
"""From so many letters on a word may be misspelled twice."""

MOST_TERMS = 100_000
"""Terms of one first letter that are compared with a misspelled word, the most frequent ones."""

NEAR = 20
"""Terms spelled like a word that are looked for in the scope."""


Stemmed = Callable[[Sequence[str]], list[str]]

MANY = 100
"""Pages that are counted at most where words stand side by side."""

ALONE = 5
"""Letters of a word, at least, that one which every text has ("liabilitiesfor") is run together with."""

JOINED = 40
"""Letters of a word, at most, that is looked at as several run together; longer ones have too many ways to be cut."""

PART = 3
"""Letters of each word, at least, that one is taken to be run together from."""


def nearest(index: tantivy.Index, word: str, stemmed: Stemmed, scope: tantivy.Query | None) -> str | None:
    """What pages hold in place of a word that none does: the words it is run together from, or one spelled like it.

    "bestbuy" is "best buy" where a page has the two side by side. Else one letter may be missing, too many, another, or
    have changed places with its neighbour; from `LONG` letters on two, but never the first. Of several terms it is the
    one on most pages.

    Args:
        index: the text index.
        word: in lower case, without accents.
        stemmed: gives words' stems, as the index knows them.
        scope: the pages that count; None: all.

    Returns:
        None where pages hold the word or its stem, or nothing like it.
    """
    searcher = index.searcher()
    held = [*((field, word) for field in FIELDS), *(("stem", stem) for stem in stemmed([word]))]
    if any(_pages(searcher, field, term, scope) for field, term in held):
        return None
    ways = _parts(searcher, word)
    apart = [(_side_by_side(searcher, index.schema, stemmed(parts), scope), parts) for parts in ways]
    most, parts = max(apart, default=(0, []))
    if most:
        return " ".join(parts)
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


def _parts(searcher: tantivy.Searcher, word: str) -> list[list[str]]:
    """The ways to cut a word into two or three that pages hold; words that every text has are left out."""
    if len(word) > JOINED:
        return []
    ways = [[word[:at], word[at:]] for at in range(PART, len(word) - PART + 1)]
    ways += [
        [first, rest[:at], rest[at:]] for first, rest in ways for at in range(PART, len(rest) - PART + 1)
    ]
    held = [content(parts) for parts in ways if all(_held(searcher, part) for part in parts)]
    return [parts for parts in held if len(parts) > 1 or len(parts[0]) >= ALONE]


def _held(searcher: tantivy.Searcher, part: str) -> bool:
    return part in STOP_WORDS or bool(searcher.doc_freq("text", part))


def _side_by_side(
    searcher: tantivy.Searcher, schema: tantivy.Schema, stems: Sequence[str], scope: tantivy.Query | None
) -> int:
    """On how many pages of the scope these words stand one after another; many are as good as more."""
    if len(stems) > 1:
        query = tantivy.Query.phrase_query(schema, "stem", list(stems))
    else:
        query = tantivy.Query.term_query(schema, "stem", stems[0], "freq")
    if scope is not None:
        query = tantivy.Query.boolean_query([(tantivy.Occur.Must, query), (tantivy.Occur.Must, scope)])
    return len(searcher.search(query, limit=MANY).hits)
