"""The lexical arm: BM25 over the text layer, the title and the metadata of each page, in tantivy.

It is a cache of stored texts: when its files are damaged, missing or of another version it starts empty and
is filled again. A question is never parsed as a query language.
"""

import logging
import shutil
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import tantivy

from domain.errors import BusyError, FullDiskError, StoreError, is_full_disk
from domain.page import ALSO, Hit, PageId, document_of
from domain.run import ranked
from retrieve.spelling import FIELDS, nearest
from retrieve.stamp import damage, read_stamp, write_stamp
from retrieve.words import captions, compounds, content, folded, heading, labels, terms

log = logging.getLogger(__name__)

HEAP_BYTES = 64_000_000


@dataclass(frozen=True, slots=True)
class LexicalPage:
    """What is searched of a page: its text, its heading and captions once more, its document's title and metadata."""

    id: PageId
    title: str
    metadata: str
    text: str


@dataclass(frozen=True, slots=True)
class Boosts:
    """How much a match counts, by field, how much two neighbouring words do, and what a caption adds to the score.

    Fitted with `benchmarks/lexical.py`; metadata, which its collections lack, is set by hand.
    """

    text: float = 1.0
    stem: float = 0.5
    heading: float = 1.0
    caption: float = 8.0
    title: float = 4.0
    metadata: float = 2.0
    phrase: float = 0.8


class LexicalIndex:
    """Pages by their words. Added and removed pages are found after `commit`."""

    def __init__(self, directory: Path, index: tantivy.Index, *, writable: bool, boosts: Boosts) -> None:
        """Use `LexicalIndex.open` instead."""
        self.directory = directory
        self._index = index
        self._boosts = boosts
        self._mutex = threading.RLock()
        self._analyzer = _stemmer()
        index.register_tokenizer("recto_words", _words())
        index.register_tokenizer("recto_stems", self._analyzer)
        self._stamped = read_stamp(directory)
        self._writer = _writer(directory, index) if writable else None

    @classmethod
    def open(cls, directory: Path, *, writable: bool = False, boosts: Boosts | None = None) -> "LexicalIndex":
        """Open the index; a writer creates it when absent and empties it when damaged or of another version.

        Raises:
            StoreError: opened for reading, and absent, damaged or of another version.
            BusyError: writable, and another process writes here.
        """
        reason = damage(directory)
        if reason and not writable:
            raise StoreError(f"the text index {directory} {reason}; run `recto verify --repair`")
        if reason:
            if directory.exists():
                log.warning("the text index %s %s; it is built again", directory, reason)
                shutil.rmtree(directory)
            directory.mkdir(parents=True)
            index = tantivy.Index(_schema(), path=str(directory))
            write_stamp(directory, {})
        else:
            index = tantivy.Index.open(str(directory))
        return cls(directory, index, writable=writable, boosts=boosts or Boosts())

    def add(self, pages: Sequence[LexicalPage]) -> None:
        """Add pages, or replace those that are there."""
        with self._mutex, self._telling():
            for page in pages:
                self._writing().delete_documents_by_term("id", page.id)
                self._writing().add_document(_document(page))

    def remove(self, pages: Iterable[PageId]) -> None:
        """Forget pages; unknown ones are ignored."""
        with self._mutex, self._telling():
            for page in pages:
                self._writing().delete_documents_by_term("id", page)

    def remove_documents(self, documents: Iterable[str]) -> None:
        """Forget all pages of documents; unknown ones are ignored."""
        with self._mutex, self._telling():
            for document in documents:
                self._writing().delete_documents_by_term("doc", document)

    def commit(self) -> None:
        """Make what was added and removed durable and visible.

        Raises:
            FullDiskError: there was no room; what was added since the last commit is forgotten.
            StoreError: it could not be written; forgotten, too.
        """
        with self._mutex, self._telling():
            self._writing().commit()
            # merges end here and not behind our back: the stamp below must name what stays
            self._writing().wait_merging_threads()  # uses the writer up
            self._writer = None
            self._stamped = write_stamp(self.directory, self._stamped)
            self._writer = _writer(self.directory, self._index)
            self._index.reload()

    def search(
        self, text: str, *, k: int, within: frozenset[str] | None = None, also: Sequence[str] = ()
    ) -> tuple[Hit, ...]:
        """Rank the k pages of the documents in `within` (None: all) that share words with the question.

        Words that only `also` has, what pages may say in its place, count `ALSO` of others. None are found when it
        shares no word with any page; ties at k are closed first.
        """
        words = terms(text)
        if k <= 0 or not words or (within is not None and not within):
            return ()
        query = self._query(words, terms("; ".join(also)), labels(text), within)
        searcher = self._index.searcher()
        depth = k + 1
        while True:
            found = searcher.search(query, limit=depth, count=False).hits
            if len(found) < depth or found[k - 1][0] > found[-1][0]:
                break
            depth *= 2
        return ranked(Hit(_field(searcher, at, "id"), float(score)) for score, at in found)[:k]

    def nearest(self, word: str, *, within: frozenset[str] | None = None) -> str | None:
        """What these documents hold in place of a word that none of them does; see `spelling`."""
        word = folded(word.lower())
        scope = _scope(self._index.schema, within)
        return nearest(self._index, word, self._stems, scope)

    def pages(self) -> frozenset[PageId]:
        """The pages held."""
        searcher = self._index.searcher()
        count = searcher.num_docs
        if not count:
            return frozenset()
        found = searcher.search(tantivy.Query.all_query(), limit=count, count=False).hits
        return frozenset(_field(searcher, at, "id") for _, at in found)

    def __len__(self) -> int:
        """How many pages it holds."""
        return int(self._index.searcher().num_docs)

    def refresh(self) -> bool:
        """Take up what another process committed; says whether the number of pages changed."""
        before = len(self)
        self._index.reload()
        return len(self) != before

    def verify(self) -> str | None:
        """What is wrong with the files, None when nothing is."""
        with self._mutex:
            return damage(self.directory)

    def close(self) -> None:
        """Let another process write; what was not committed is lost."""
        if self._writer is not None:
            self._writer.rollback()
            self._writer = None

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Replace a writer that died, and say what it died of, which tantivy does not."""
        try:
            yield
        except (ValueError, OSError) as error:
            full = is_full_disk(error) or shutil.disk_usage(self.directory).free < HEAP_BYTES
            self._writer = None  # the lock goes with the last that holds it: nobody else may
            self._writer = _writer(self.directory, self._index)
            if full:
                raise FullDiskError from error
            raise StoreError(f"the text index {self.directory} cannot be written: {error}") from error

    def _writing(self) -> tantivy.IndexWriter:
        if self._writer is None:
            raise StoreError(f"{self.directory} was opened for reading")
        return self._writer

    def _query(
        self, words: list[str], also: list[str], named: list[str], within: frozenset[str] | None
    ) -> tantivy.Query:
        schema, boosts = self._index.schema, self._boosts
        titled = [*content(words), *compounds(words)]
        counts: dict[tuple[str, ...], float] = {("title", word): boosts.title for word in titled}
        counts |= {("metadata", word): boosts.metadata for word in titled}
        counts |= {**self._counts(also, ALSO), **self._counts(words, 1.0)}
        clauses = [
            tantivy.Query.boost_query(
                tantivy.Query.phrase_query(schema, field, list(found))
                if len(found) > 1
                else tantivy.Query.term_query(schema, field, found[0], "freq"),
                boost,
            )
            for (field, *found), boost in counts.items()
        ]
        clauses += [
            # not by BM25: pages with captions are few, and long beside all that have none
            tantivy.Query.const_score_query(tantivy.Query.term_query(schema, "caption", name), boosts.caption)
            for name in named
        ]
        query = tantivy.Query.boolean_query([(tantivy.Occur.Should, clause) for clause in clauses])
        scope = _scope(schema, within)
        if scope is None:
            return query
        silent = tantivy.Query.const_score_query(scope, 0.0)
        return tantivy.Query.boolean_query([(tantivy.Occur.Must, query), (tantivy.Occur.Must, silent)])

    def _counts(self, words: list[str], share: float) -> dict[tuple[str, ...], float]:
        """How much each word counts in each field of a page, and each two neighbours: by field and words."""
        boosts, said = self._boosts, content(words)
        stems = self._stems(said)
        counts: dict[tuple[str, ...], float] = {("text", word): share * boosts.text for word in said}
        for stem in stems:
            counts |= {("stem", stem): share * boosts.stem, ("heading", stem): share * boosts.heading}
        return counts | {("stem", *pair): share * boosts.phrase for pair in pairwise(stems)}

    def _stems(self, words: Sequence[str]) -> list[str]:
        return list(self._analyzer.analyze(" ".join(folded(word) for word in words)))


def _schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("id", stored=True, tokenizer_name="raw", index_option="basic")
    builder.add_text_field("doc", tokenizer_name="raw", index_option="basic")
    for field in FIELDS:
        builder.add_text_field(field, tokenizer_name="recto_words", index_option="freq")
    builder.add_text_field("stem", tokenizer_name="recto_stems", index_option="position")
    builder.add_text_field("heading", tokenizer_name="recto_stems", index_option="freq")
    builder.add_text_field("caption", tokenizer_name="recto_words", index_option="basic")
    return builder.build()


def _scope(schema: tantivy.Schema, within: frozenset[str] | None) -> tantivy.Query | None:
    return None if within is None else tantivy.Query.term_set_query(schema, "doc", sorted(within))


def _words() -> tantivy.TextAnalyzer:
    return tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build()


def _stemmer() -> tantivy.TextAnalyzer:
    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace())
    return builder.filter(tantivy.Filter.stemmer("english")).build()


def _writer(directory: Path, index: tantivy.Index) -> tantivy.IndexWriter:
    try:
        return index.writer(heap_size=HEAP_BYTES, num_threads=1)
    except ValueError as error:
        raise BusyError(f"another process writes to the text index {directory}: {error}") from error


def _document(page: LexicalPage) -> tantivy.Document:
    words = terms(page.text)
    return tantivy.Document(
        id=page.id,
        doc=document_of(page.id),
        text=" ".join(words),
        stem=_folded(words),
        heading=_folded(terms(heading(page.text))),
        caption=" ".join(captions(page.text)),
        title=" ".join(terms(page.title)),
        metadata=" ".join(terms(page.metadata)),
    )


def _folded(words: list[str]) -> str:
    return " ".join(folded(word) for word in content(words))


def _field(searcher: tantivy.Searcher, address: tantivy.DocAddress, name: str) -> str:
    return str(searcher.doc(address).get_first(name))
