"""The two names of a page: the library's page id and the benchmark's `<document>#<index from 0>`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from domain.page import PageId, document_of, number_of, page_id
from evaluation.questions import Qrels, split_corpus_id


class Names(Protocol):
    """What a benchmark calls the pages of a library."""

    def corpus_ids(self, page: PageId) -> Sequence[str]:
        """Every name of a page, best first where a picture stands twice in a corpus."""
        ...

    def page(self, corpus_id: str) -> PageId:
        """The page of a name; KeyError where there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Corpus:
    """A benchmark's documents in a library.

    Attributes:
        documents: document name to document id; two names may share an id where the files are equal.
        names: document id to the name under which its pages are reported.
    """

    documents: Mapping[str, str]
    names: Mapping[str, str]

    @classmethod
    def of(cls, documents: Mapping[str, str]) -> "Corpus":
        """Of equal files, the first name in sorted order is reported."""
        names: dict[str, str] = {}
        for name, document in sorted(documents.items()):
            names.setdefault(document, name)
        return cls(dict(documents), names)

    @property
    def scope(self) -> frozenset[str]:
        """Every document id of the benchmark."""
        return frozenset(self.names)

    def corpus_ids(self, page: PageId) -> tuple[str, ...]:
        """The one name of a page; KeyError where its document is not of the benchmark."""
        return (self.corpus_id(page),)

    def corpus_id(self, page: PageId) -> str:
        """Name a page as the benchmark does.

        Raises:
            KeyError: the page's document is not of the benchmark.
        """
        return f"{self.names[document_of(page)]}#{number_of(page) - 1}"

    def page(self, corpus_id: str) -> PageId:
        """Name a page as the library does.

        Raises:
            ValueError: it is not `<document>#<index>`.
            KeyError: there is no such document.
        """
        parts = split_corpus_id(corpus_id)
        if parts is None:
            raise ValueError(f"not <document>#<page index from 0>: {corpus_id!r}")
        return page_id(self.documents[parts[0]], parts[1] + 1)

    def canonical(self, qrels: Qrels) -> dict[str, dict[str, int]]:
        """Judgements under the names that are reported; the best one where equal files were both judged."""
        out: dict[str, dict[str, int]] = {}
        for query, judged in qrels.items():
            pages = out.setdefault(query, {})
            for old, score in judged.items():
                new = self.corpus_id(self.page(old))
                pages[new] = max(score, pages.get(new, score))
        return out


def pages_of(qrels: Qrels, queries: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The relevant pages of each query, best judged first."""
    return {
        query: tuple(p for p, s in sorted(qrels[query].items(), key=lambda kv: (-kv[1], kv[0])) if s > 0)
        for query in queries
    }
