"""What travels over HTTP: the shapes that the OpenAPI shows and the client reads."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from library.results import FoundPage, SearchResult

CollectionName = Annotated[
    str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^/\\\x00-\x1f\x7f]+$")
]
Text = Annotated[str, StringConstraints(min_length=1, max_length=4000, strip_whitespace=True)]
JobStatus = Literal["queued", "running", "done", "failed", "cancelled"]


class Out(BaseModel):
    """A response; it is read from the library's own values."""

    model_config = ConfigDict(from_attributes=True)


class In(BaseModel):
    """A request; a field that nobody knows is refused, so that a slip of the pen is not ignored."""

    model_config = ConfigDict(extra="forbid")


class FailureOut(Out):
    """Why something was not indexed."""

    code: str = Field(examples=["encrypted"])
    message: str = Field(examples=["report.pdf needs a password; remove it and upload the file again"])


class UploadedDocument(Out):
    """What became of one file of an upload."""

    id: str | None = Field(description="None where the file was refused", examples=["3f1c0a9d2b7e4c55"])
    name: str = Field(examples=["Annual report 2023.pdf"])
    status: Literal["queued", "duplicate", "refused"]
    reason: str = Field(default="", description="Why it was refused, or what it is a duplicate of")
    code: str | None = Field(default=None, description="The refusal's code")
    sha256: str = ""
    size_bytes: int = 0


class UploadAccepted(Out):
    """An upload was taken in: its files are durable, and a job indexes them."""

    job_id: str = Field(examples=["5f0e8c1b2a3d"])
    documents: list[UploadedDocument]


class FailedOut(Out):
    """A file, or one page of it, that a job could not index."""

    path: str
    page: int | None = None
    failure: FailureOut


class SkippedOut(Out):
    """A file that a job did not read again."""

    path: str
    reason: str


class JobOut(Out):
    """A job and how far it got."""

    id: str
    collection: str
    status: JobStatus
    documents: list[str]
    pages_done: int
    pages_total: int
    failed: list[FailedOut] = []
    skipped: list[SkippedOut] = []


class JobList(Out):
    """Jobs, the newest first."""

    jobs: list[JobOut]


class CollectionOut(Out):
    """A collection and how much is in it."""

    name: str
    documents: int
    pages: int
    ready_pages: int


class CollectionList(Out):
    """The collections that exist for the caller."""

    collections: list[CollectionOut]


class DocumentOut(Out):
    """A document; `states` counts its pages by state."""

    id: str
    name: str
    collection: str
    sha256: str
    size_bytes: int
    pages: int
    status: Literal["queued", "processing", "ready", "partial", "failed"]
    states: dict[str, int]
    metadata: dict[str, str]
    failure: FailureOut | None = None


class DocumentList(Out):
    """A slice of a collection's documents."""

    documents: list[DocumentOut]
    total: int


class Removed(Out):
    """How many documents were removed."""

    documents: int


class PageOut(Out):
    """A page of a document."""

    id: str
    document_id: str
    document: str
    collection: str
    number: int
    printed: int | None = Field(description="The number printed on the page, where it is known and another")
    width_px: int
    height_px: int
    state: str
    failure: FailureOut | None
    has_text: bool


class PageList(Out):
    """A document's pages in order."""

    pages: list[PageOut]


class PageText(Out):
    """A page's text layer."""

    page_id: str
    text: str


class SearchIn(In):
    """A question and how it should be answered."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"query": "operating margin 2023", "collection": "filings", "k": 5}]},
    )
    query: Text = Field(description="The question, in plain words")
    collection: CollectionName | None = Field(default=None, description="Only this collection")
    document: str | None = Field(default=None, max_length=300, description="Only this document: name or id")
    k: int = Field(default=10, ge=1, le=1000, description="How many pages to return")
    rerank: Literal["auto", "off"] | Annotated[int, Field(ge=0, le=1000)] = Field(
        default="auto", description="`auto`, `off`, or how many pages the second stage reads again"
    )
    budget_ms: float | None = Field(
        default=None, gt=0, le=600_000, description="Milliseconds for the whole search"
    )
    filters: dict[str, str] = Field(
        default_factory=dict, max_length=20, description="Metadata that a document must have"
    )
    arms: list[Annotated[str, StringConstraints(max_length=40)]] | None = Field(
        default=None,
        max_length=8,
        description="First-stage arms that answer; None: the library's",
    )
    stream: bool = Field(
        default=False, description="Send server-sent events: first-stage hits at once, the final order after"
    )


class StageOut(Out):
    """What one stage said of a page: its rank there, from 1, and its score on that stage's own scale."""

    stage: str
    rank: int
    score: float


class HitOut(Out):
    """A page in the answer. Scores compare only within one answer."""

    page_id: str = Field(examples=["3f1c0a9d2b7e4c55/0007"])
    document_id: str
    document: str = Field(examples=["Annual report 2023"])
    collection: str
    page: int
    printed: int | None = Field(
        default=None, description="The number printed on the page, where it is another"
    )
    score: float
    probability: float | None = Field(description="Calibrated chance that the page answers; None: unknown")
    stages: list[StageOut]
    snippet: str
    image: str = Field(description="Where the page's picture is, relative to the service")

    @classmethod
    def of(cls, hit: FoundPage) -> "HitOut":
        """A hit of the library."""
        stages = [StageOut(stage=m.stage, rank=m.rank, score=m.score) for m in hit.stages]
        return cls(
            page_id=hit.page_id,
            document_id=hit.document_id,
            document=hit.document,
            collection=hit.collection,
            page=hit.page,
            printed=hit.printed,
            score=hit.score,
            probability=hit.probability,
            stages=stages,
            snippet=hit.snippet,
            image=f"/v1/pages/{hit.page_id}/image",
        )


class SearchOut(Out):
    """Ranked pages, and what each stage took."""

    query: str
    hits: list[HitOut]
    timings_ms: dict[str, float]
    arms: list[str]
    reranked: int = Field(description="How many pages the second stage read again")
    notes: list[str] = Field(default_factory=list, description="Remarks that a person should read")

    @classmethod
    def of(cls, result: SearchResult) -> "SearchOut":
        """A result of the library."""
        return cls(
            query=result.query,
            hits=[HitOut.of(hit) for hit in result.hits],
            timings_ms=dict(result.timings_ms),
            arms=list(result.arms),
            reranked=result.reranked,
            notes=list(result.notes),
        )


class BoxOut(Out):
    """A rectangle in fractions of the page, origin at the top left."""

    x0: float
    y0: float
    x1: float
    y1: float


class CellOut(Out):
    """A place on the page: the token of the query that it answers best, and how similar the two are."""

    box: BoxOut
    token: str
    similarity: float


class EvidenceOut(Out):
    """Why a page was found: its hottest places, best first, and the text around the match."""

    page_id: str
    query: str
    cells: list[CellOut]
    snippet: str


class Health(Out):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Ready(Out):
    """Whether searches can be answered, and what is missing if not."""

    status: Literal["ready", "starting", "failed"]
    checks: dict[str, str]
