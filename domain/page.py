"""What is searched: pages, the words on them, and the hits that name them."""

from dataclasses import dataclass, field

PageId = str
"""`<document id>/<number>`, the number from 1 with at least four digits."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a document, as it was rendered."""

    doc: str
    number: int
    width_px: int
    height_px: int

    @property
    def id(self) -> PageId:
        """The page's name everywhere outside its document."""
        return page_id(self.doc, self.number)


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle on a page, in fractions of its width and height, origin at the top left."""

    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True, slots=True)
class Word:
    """A word of the text layer and where it stands on the upright page."""

    text: str
    box: Box


ALSO = 0.5
"""How much a word counts that pages may say in place of a question's own."""


@dataclass(frozen=True, slots=True)
class Query:
    """A question; `within` limits it to these document ids (None: everything, empty: nothing).

    `also` are phrases that pages may say in place of its words; an arm that weighs words lets theirs count `ALSO`.
    """

    id: str
    text: str
    within: frozenset[str] | None = None
    also: tuple[str, ...] = ()

    @property
    def whole(self) -> str:
        """The question and what pages may say in its place."""
        return "; ".join((self.text, *self.also))


@dataclass(frozen=True, slots=True)
class Mark:
    """What one stage said of a page: its rank there (from 1) and its score on that stage's own scale."""

    stage: str
    rank: int
    score: float


@dataclass(frozen=True, slots=True)
class Hit:
    """A page in a ranking. Scores compare only within one ranking; `trace` tells how it got there."""

    page: PageId
    score: float
    probability: float | None = None
    trace: tuple[Mark, ...] = field(default=(), compare=False)


def page_id(doc: str, number: int) -> PageId:
    """Name a page.

    Raises:
        ValueError: the document is empty or the number is below 1.
    """
    if not doc or number < 1:
        raise ValueError(f"a page needs a document and a number from 1, not {doc!r} and {number}")
    return f"{doc}/{number:04d}"


def document_of(page: PageId) -> str:
    """The document id in a page id."""
    return page.rpartition("/")[0]


def number_of(page: PageId) -> int:
    """The page number, from 1, in a page id.

    Raises:
        ValueError: the text is not a page id.
    """
    doc, _, number = page.rpartition("/")
    if not doc or not number.isdecimal():
        raise ValueError(f"not a page id: {page!r}; expected <document id>/<page number>")
    return int(number)
