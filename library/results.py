"""What the use cases of a library return."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from domain.documents import Extent
from domain.errors import Failure
from domain.outline import Outline
from domain.page import Box, Mark, PageId

DocumentStatus = Literal["queued", "processing", "ready", "partial", "failed"]
JobStatus = Literal["queued", "running", "done", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class FoundPage:
    """One page of a search result.

    Attributes:
        document: the file's name without its extension.
        page: the page number, from 1.
        printed: the number printed on it, where that is known and another.
        score: the last stage's score; compares only within this result.
        probability: the calibrated chance that the page answers, None where no calibration exists.
        stages: what every stage said of this page.
        snippet: text of the page around the match, empty where it has no text layer.
    """

    page_id: PageId
    document_id: str
    document: str
    collection: str
    page: int
    printed: int | None
    score: float
    probability: float | None
    stages: tuple[Mark, ...]
    snippet: str


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Ranked pages, the arms that answered, milliseconds a stage, and remarks a person should read.

    `searched` is the question as it was put to the arms, with what pages may say in its place; snippets show its words.
    """

    query: str
    hits: tuple[FoundPage, ...]
    timings_ms: Mapping[str, float]
    arms: tuple[str, ...]
    reranked: int
    notes: tuple[str, ...] = ()
    searched: str = ""


@dataclass(frozen=True, slots=True)
class FailedInput:
    """A file, or a page of it (`page` from 1), that was not indexed, and why."""

    path: str
    failure: Failure
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that was not read again, and why (`same content as ...`)."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Job:
    """An upload or an index call: what was accepted and how far it got. It outlives the process."""

    id: str
    collection: str
    status: JobStatus
    documents: tuple[str, ...]
    pages_done: int
    pages_total: int
    failed: tuple[FailedInput, ...] = ()
    skipped: tuple[Skipped, ...] = ()


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job got after a step; `document` and `page` name what was done last.

    Where all pages are in, `to_read` says how many of them OCR is still to read; where only the indexes are still being
    put in order, `document` is empty.
    """

    job_id: str
    pages_done: int
    pages_total: int
    document: str
    page: int
    seconds: float
    to_read: int = 0


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded page image; `digest` names its content."""

    data: bytes
    media_type: str
    digest: str


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What was checked, damaged and repaired; `lost` names documents whose originals must be added again."""

    checked: Mapping[str, int]
    damaged: tuple[str, ...]
    repaired: tuple[str, ...]
    lost: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What `index` did. `failed` and `skipped` name every file that is not among `documents`.

    `lacks` says what would have been done if the machine had what it takes, with the remedy.
    """

    documents: int
    pages: int
    failed: tuple[FailedInput, ...]
    skipped: tuple[Skipped, ...]
    seconds: float
    lacks: str | None = None


@dataclass(frozen=True, slots=True)
class DocumentInfo:
    """A document of the library. `states` counts its pages, `before_one` those before the one printed as page 1."""

    id: str
    name: str
    collection: str
    sha256: str
    size_bytes: int
    pages: int
    status: DocumentStatus
    states: Mapping[str, int]
    metadata: Mapping[str, str]
    failure: Failure | None = None
    before_one: int | None = None
    outline: Outline = field(default_factory=Outline)

    @property
    def extent(self) -> Extent:
        """How long it is, how its pages are numbered in print, and what parts it has."""
        return Extent(self.pages, self.before_one, self.outline, self.name)


@dataclass(frozen=True, slots=True)
class CollectionInfo:
    """A collection and how much is in it."""

    name: str
    documents: int
    pages: int
    ready_pages: int


@dataclass(frozen=True, slots=True)
class PageInfo:
    """A page of the library; `state` is one of queued, rendered, embedded, ready, blank, failed.

    `printed` is the number printed on it, where that is known and another than `number`.
    """

    id: PageId
    document_id: str
    document: str
    collection: str
    number: int
    printed: int | None
    width_px: int
    height_px: int
    state: str
    failure: Failure | None
    has_text: bool


@dataclass(frozen=True, slots=True)
class EvidenceCell:
    """How much one place on the page answered: the token it matched best, and the similarity in [-1, 1]."""

    box: Box
    token: str
    similarity: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why a page was found: its hottest places, best first, and the text around what was `searched` for."""

    page_id: PageId
    query: str
    cells: tuple[EvidenceCell, ...]
    snippet: str
    searched: str = ""
