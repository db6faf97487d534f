"""Asking a library: from a question to found pages, with what every stage said of them."""

import logging
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from domain.errors import NotFoundError, StoreError, UsageError
from domain.page import Hit, PageId, Query, document_of
from domain.run import Answer, Run
from domain.stage import Stage
from domain.vocabulary import looked_for_too
from domain.wording import Reword, Wording, same_word, spelled, widened, without_form
from library.arms import LexicalArm, VisualArm
from library.build import NAMING, Parts, Timings, pipeline
from library.contents import features, opening, page_text, picture
from library.numbering import extent, extents, searchable
from library.options import SearchOptions
from library.results import Evidence, EvidenceCell, FoundPage, SearchResult
from library.sources import stem
from library.stores import Stores
from library.sync import catch_up
from library.tables import DocumentRow, PageRow
from rerank.budget import ANY_SIZE, CostModel, size_class
from rerank.calibration import Calibration
from rerank.reranker import Candidate
from retrieve.evidence import hottest
from retrieve.search import embedded
from retrieve.snippet import snippet

log = logging.getLogger(__name__)

COSTS = "costs.json"
CALIBRATION = "calibration.json"
MAX_QUERY_CHARACTERS = 10_000


@dataclass(frozen=True, slots=True)
class Searcher:
    """Answers questions from the stores of one library."""

    stores: Stores
    cost: CostModel

    def search(self, text: str, options: SearchOptions) -> SearchResult:
        """Find the pages that answer a question.

        Raises:
            UsageError: the question is empty or too long, or an option does not fit this library.
            NotFoundError: the collection or document does not exist.
            ModelError: a model cannot be loaded or returned nonsense.
            StoreError: what is stored is damaged.
        """
        started, timings = time.perf_counter(), Timings()
        query = Query("q", checked(text), within=self.scope(options))
        wording = self.wording(query)
        stage = self.pipeline(options, timings, started=started, reword=lambda _query: wording)
        answer = stage(Run.ask(query)).answers[0]
        ranked = time.perf_counter()
        found = (self._found(hit, wording.query.whole) for hit in answer.hits)
        # another collection may have come into being meanwhile
        hits = tuple(hit for hit in found if hit and options.collection in (None, hit.collection))
        if answer.hits:
            named_ms = (time.perf_counter() - ranked) * 1000.0
            self.cost.observe(NAMING, ANY_SIZE, pairs=len(answer.hits), elapsed_ms=named_ms)
        timings["total"] = (time.perf_counter() - started) * 1000.0
        return SearchResult(
            query=text,
            hits=hits,
            timings_ms=timings,
            arms=options.arms or self.stores.settings.arms,
            reranked=answer.depth,
            notes=self._notes(answer),
            searched=wording.query.whole,
        )

    def pipeline(
        self,
        options: SearchOptions,
        timings: Timings | None = None,
        *,
        started: float | None = None,
        reword: Reword | None = None,
    ) -> Stage:
        """The pipeline of these options: the one that is served and measured."""
        catch_up(self.stores)
        parts = Parts(
            settings=self.stores.settings,
            arms=self.stores.arms(),
            reranker=lambda: self.stores.models.reranker,
            load=self.candidate,
            similarities=self._similarities,
            calibration=self.calibration(),
            cost=self.cost,
            final_reranker=lambda: self.stores.models.final_reranker,
            fields=self._fields,
            size_of=self._size,
            extents_of=partial(extents, self.stores.catalog),
            searchable=partial(searchable, self.stores.catalog),
            reword=reword or self.wording,
        )
        return pipeline(parts, options, timings, started=started)

    def wording(self, query: Query) -> Wording:
        """What is searched for in place of a question: what it asks for, in words that pages hold."""
        if not self.stores.settings.tidy_questions:
            return Wording(query)
        lexical = self.stores.arms().get("lexical")
        asked = replace(query, text=without_form(query.text))
        words = Wording(asked)
        if isinstance(lexical, LexicalArm):
            words = spelled(asked, partial(self._meant, lexical, within=query.within))
        return widened(words, self.stores.settings.vocabulary)

    def _meant(self, lexical: LexicalArm, word: str, *, within: frozenset[str] | None) -> str | None:
        """What a word is read as that no page holds; English words and those of the vocabulary are not misspelled."""
        found, plain = lexical.nearest(word, within), word.casefold()
        if not found or looked_for_too(word, self.stores.settings.vocabulary):
            return None
        return found if plain not in self.stores.models.words or same_word(plain, found) else None

    def scope(self, options: SearchOptions) -> frozenset[str] | None:
        """The one place where collections, a document's name and filters become document ids; None is all.

        Raises:
            NotFoundError: the collection or the document does not exist, or may not be seen.
        """
        allowed, wanted = options.collections, options.collection
        there = frozenset(self.stores.catalog.collections())
        seen = there if allowed is None else there & allowed
        if wanted is not None:
            if wanted not in seen:
                raise NotFoundError(f"there is no collection {wanted!r} in this library")
            seen = frozenset({wanted})
        if seen == there and allowed is None and options.document is None and not options.filters:
            return None
        names = self.stores.catalog.names(collections=seen, fields=options.filters)
        if options.document is None:
            return frozenset(names)
        asked = options.document
        named = frozenset(
            doc
            for doc, name in names.items()
            if asked == doc or (asked in name and asked in {name, stem(name)})
        )
        if not named:
            raise NotFoundError(f"there is no document {options.document!r} to search in")
        return named

    def candidate(self, page: PageId) -> Candidate:
        """A page as the reranker sees it; nothing is read before it is asked for."""
        row = self.stores.catalog.page(page)
        return Candidate(
            page,
            image=lambda: picture(self.stores.blobs.get(row.image or "")),
            text=lambda: page_text(self.stores, row),
            features=partial(features, self.stores, page),
            title=lambda: self.stores.catalog.document(row.document_id).title,
            opening=partial(opening, self.stores, row),
        )

    def evidence(self, page: PageId, text: str, *, limit: int | None = 12) -> Evidence:
        """Where on a page the question found its answer; `limit` places at most, None for the whole map.

        Raises:
            NotFoundError: there is no such page.
            UsageError: the library has no visual arm, or the page is not indexed by sight.
        """
        row = self.stores.catalog.page(page)
        visual = self.stores.arms().get("visual")
        if not isinstance(visual, VisualArm):
            raise UsageError("this library has no visual arm, so that nothing says where a page answers")
        vectors = visual.vectors(page)
        asked = self.wording(Query("q", checked(text), within=frozenset({row.document_id}))).query
        query = embedded(visual.encoder, [asked])[0]
        spots = hottest(query, vectors, limit=limit) if vectors is not None else ()
        cells = tuple(
            EvidenceCell(spot.box, spot.token, spot.similarity)
            for spot in spots
            if spot.box.x1 > spot.box.x0 and spot.box.y1 > spot.box.y0  # a floor vector looks nowhere
        )
        document = self.stores.catalog.document(row.document_id)
        return Evidence(page, text, cells, self._snippet(document, row, asked.whole), asked.whole)

    def calibration(self) -> Calibration | None:
        """The stored calibration, if the library has one."""
        path = self.stores.directory / CALIBRATION
        return Calibration.from_json(path.read_text()) if path.exists() else None

    def _found(self, hit: Hit, text: str) -> FoundPage | None:
        """A hit with its names; None for a page that was deleted while the search ran."""
        try:
            row = self.stores.catalog.page(hit.page)
            document = self.stores.catalog.document(row.document_id)
        except NotFoundError:
            return None
        if row.state != "ready":
            return None
        return _found_page(hit, document, row, self._snippet(document, row, text))

    def _snippet(self, document: DocumentRow, row: PageRow, text: str) -> str:
        title = f"{document.title} {stem(document.name)}"
        return snippet(page_text(self.stores, row), text, title=title)

    def _fields(self, page: PageId) -> Mapping[str, str]:
        return self.stores.catalog.document(document_of(page)).fields

    def _size(self, page: PageId) -> str:
        row = self.stores.catalog.page(page)
        return size_class(row.width_px or 1, row.height_px or 1)

    def _similarities(self, pages: Sequence[PageId]) -> NDArray[np.float32]:
        """Cosine of the pages' mean vectors; a page without vectors is like none but itself."""
        visual = self.stores.arms().get("visual")
        means = np.zeros((len(pages), visual.encoder.dim if isinstance(visual, VisualArm) else 1), np.float32)
        for at, page in enumerate(pages):
            vectors = visual.vectors(page) if isinstance(visual, VisualArm) else None
            if vectors is not None and len(vectors.rows):
                mean = vectors.rows.mean(axis=0)
                means[at] = mean / max(float(np.linalg.norm(mean)), 1e-9)
        alike: NDArray[np.float32] = means @ means.T
        np.fill_diagonal(alike, 1.0)
        return alike

    def _notes(self, answer: Answer) -> tuple[str, ...]:
        notes = answer.notes
        if not self.stores.catalog.collections():
            notes = (*notes, "this library is empty: add documents with `recto index PATH`")
        return notes


def checked(text: str) -> str:
    """A question fit to be asked.

    Raises:
        UsageError: it is empty or longer than any question.
    """
    if not text.strip():
        raise UsageError("the question is empty; ask for what the page should say")
    if len(text) > MAX_QUERY_CHARACTERS:
        raise UsageError(f"a question has at most {MAX_QUERY_CHARACTERS:,} characters, not {len(text):,}")
    return text


def load_costs(directory: Path) -> CostModel:
    """What pairs cost, as learned in earlier searches."""
    path = directory / COSTS
    try:
        return CostModel.from_json(path.read_text()) if path.exists() else CostModel()
    except StoreError as error:
        log.warning("%s", error)
        return CostModel()


def save_costs(directory: Path, cost: CostModel) -> None:
    """Keep what pairs cost for the next process; where that cannot be written, searches go on without."""
    unique = uuid.uuid4().hex  # searches that end together must not share the file
    partial_path = directory / f"{COSTS}.{unique}.partial"
    try:
        partial_path.write_text(cost.to_json())
        partial_path.replace(directory / COSTS)
    except OSError as error:
        log.warning("what pairs cost is not kept: %s", error)
        partial_path.unlink(missing_ok=True)


def _found_page(hit: Hit, document: DocumentRow, row: PageRow, text: str) -> FoundPage:
    return FoundPage(
        page_id=hit.page,
        document_id=document.id,
        document=stem(document.name),
        collection=document.collection,
        page=row.number,
        printed=extent(document).printed(row.number),
        score=hit.score,
        probability=hit.probability,
        stages=hit.trace,
        snippet=text,
    )
