"""The arms of the first stage, as the library fills and asks them: by sight, by words, by meaning."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from PIL import Image

from backbone.threads import Crew
from domain.fingerprint import Fingerprint
from domain.page import PageId
from domain.stage import Stage
from retrieve.dense import PageText
from retrieve.encoder import Encoder, Vectors
from retrieve.engine import Engine
from retrieve.lexical import LexicalIndex, LexicalPage
from retrieve.search import lexical, search


@dataclass(frozen=True, slots=True)
class PageContent:
    """A page on its way into the arms.

    Attributes:
        title: the document's name as people write it.
        text: of the text layer or by OCR; may be empty.
        seen: the words that the encoder made out and `text` lacks, once the visual arm holds the page; may be empty.
    """

    id: PageId
    title: str
    metadata: str
    text: str
    image: Callable[[], Image.Image]
    seen: Callable[[], str] = str

    @property
    def words(self) -> str:
        """What the page is found by in words: its text, and what was seen where that lacks words."""
        return f"{self.text} {self.seen()}".strip()


class Arm(Protocol):
    """One way of finding pages. Adding a page that is there replaces it."""

    @property
    def name(self) -> str:
        """visual, lexical or text."""
        ...

    def add(self, pages: Sequence[PageContent]) -> None:
        """Make pages findable; durable on return."""
        ...

    def remove(self, pages: Sequence[PageId]) -> None:
        """Forget pages; unknown ones are ignored."""
        ...

    def pages(self) -> frozenset[PageId]:
        """What it holds or has seen, to be compared with the catalogue."""
        ...

    def stage(self, k: int) -> Stage:
        """The stage that answers a run with this arm's k best pages."""
        ...

    def __len__(self) -> int:
        """How many pages it holds."""
        ...

    def damage(self) -> tuple[str, ...]:
        """What is wrong with its files, one sentence each; every byte is checked."""
        ...

    def rebuild(self) -> None:
        """Drop what is damaged, so that the pages lost can be added again."""
        ...

    @property
    def behind(self) -> bool:
        """Whether its index is still being put in order, which closing waits for."""
        ...

    def refresh(self) -> None:
        """Take up what another process committed."""
        ...

    def close(self) -> None:
        """Let another process write."""
        ...


class Tower(Protocol):
    """A text tower: page text and questions into one space."""

    @property
    def dim(self) -> int:
        """The width of every vector."""
        ...

    @property
    def fingerprint(self) -> Fingerprint:
        """What made the vectors."""
        ...

    def passages(self, pages: Sequence[PageText]) -> list[Vectors]:
        """Embed pages, in order."""
        ...

    def queries(self, texts: Sequence[str]) -> list[Vectors]:
        """Embed questions, in order: one row each."""
        ...


class VectorArm:
    """What arms of vectors have in common: all but how a page and a question become vectors."""

    def __init__(self, engine: Engine) -> None:
        """Keep vectors in `engine`."""
        self._engine = engine

    def remove(self, pages: Sequence[PageId]) -> None:
        """Forget pages."""
        self._engine.remove(pages)

    def pages(self) -> frozenset[PageId]:
        """The pages that have vectors."""
        return frozenset(self._engine.pages())

    def __len__(self) -> int:
        """How many pages it holds."""
        return len(self._engine)

    def damage(self) -> tuple[str, ...]:
        """What is wrong with the vectors' files."""
        return tuple(f"{found.file.name}: {found.reason}" for found in self._engine.verify(full=True))

    def rebuild(self) -> None:
        """Forget pages whose vectors are damaged, and build every cache anew."""
        self._engine.rebuild()

    @property
    def behind(self) -> bool:
        """Whether the first stage still takes pages in."""
        return self._engine.behind

    def refresh(self) -> None:
        """Take up what another process committed."""
        self._engine.refresh()

    def close(self) -> None:
        """Let another process write."""
        self._engine.close()


class VisualArm(VectorArm):
    """Page pictures through the visual bi-encoder."""

    name = "visual"

    def __init__(self, encoder: Encoder, engine: Engine) -> None:
        """Embed with `encoder` into `engine`."""
        super().__init__(engine)
        self.encoder = encoder
        self._crew = Crew()

    def vectors(self, page: PageId) -> Vectors | None:
        """A page's stored vectors, None for a page that is not held."""
        return self._engine.vectors(page)

    def add(self, pages: Sequence[PageContent]) -> None:
        """Embed the pictures and store their vectors."""
        vectors = self.encoder.pages(self._crew.each(lambda page: page.image(), pages))
        self._engine.add([page.id for page in pages], vectors)

    def stage(self, k: int) -> Stage:
        """Search by sight."""
        return search(self.encoder, self._engine, k=k, name=self.name)


class TextArm(VectorArm):
    """The text layer in chunks through the text tower; a page counts by its best chunk."""

    name = "text"

    def __init__(self, tower: Tower, engine: Engine) -> None:
        """Embed with `tower` into `engine`."""
        super().__init__(engine)
        self._tower = tower

    def add(self, pages: Sequence[PageContent]) -> None:
        """Embed the text layers and store their vectors; a page without text has none."""
        vectors = self._tower.passages([PageText(title=page.title, text=page.text) for page in pages])
        self._engine.add([page.id for page in pages], vectors)

    def stage(self, k: int) -> Stage:
        """Search by meaning."""
        return search(self._tower, self._engine, k=k, name=self.name)


class LexicalArm:
    """The text layer or the words seen, title and metadata, by their words."""

    name = "lexical"

    def __init__(self, index: LexicalIndex) -> None:
        """Keep words in `index`."""
        self._index = index

    def add(self, pages: Sequence[PageContent]) -> None:
        """Index words and commit."""
        self._index.add([LexicalPage(p.id, title=p.title, metadata=p.metadata, text=p.words) for p in pages])
        self._index.commit()

    def remove(self, pages: Sequence[PageId]) -> None:
        """Forget pages and commit."""
        self._index.remove(pages)
        self._index.commit()

    def pages(self) -> frozenset[PageId]:
        """The pages that are indexed."""
        return frozenset(self._index.pages())

    def nearest(self, word: str, within: frozenset[str] | None) -> str | None:
        """What these documents hold in place of a word that none of them does."""
        return self._index.nearest(word, within=within)

    def stage(self, k: int) -> Stage:
        """Search by words."""
        return lexical(self._index, k=k)

    def __len__(self) -> int:
        """How many pages it holds."""
        return len(self._index)

    def damage(self) -> tuple[str, ...]:
        """What is wrong with the index's files."""
        found = self._index.verify()
        return (found,) if found else ()

    def rebuild(self) -> None:
        """Start empty."""
        self._index.close()
        self._index = LexicalIndex.open(self._index.directory, writable=True)

    @property
    def behind(self) -> bool:
        """Never: a commit finishes it."""
        return False

    def refresh(self) -> None:
        """Take up what another process committed."""
        self._index.refresh()

    def close(self) -> None:
        """Let another process write."""
        self._index.close()
