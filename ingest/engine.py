"""What every renderer in a worker gives back."""

from dataclasses import dataclass
from typing import Protocol

from PIL import Image

from domain.page import Word


@dataclass(frozen=True, slots=True)
class Outline:
    """How many pages a document has and what it says of itself."""

    pages: int
    title: str
    metadata: dict[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """A page: its picture (mode RGB or L), its words, and its text line by line."""

    image: Image.Image
    words: tuple[Word, ...] = ()
    lines: tuple[str, ...] = ()


class Document(Protocol):
    """An open document. Its methods raise DocumentError, or what the library underneath raises."""

    def outline(self) -> Outline:
        """Count the pages and read the metadata."""
        ...

    def draw(self, number: int) -> Drawn:
        """Render a page, counted from 1, upright, within the limits, with its text layer."""
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...
