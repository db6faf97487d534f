"""What every renderer in a worker gives back."""

from dataclasses import dataclass, field
from typing import Protocol

from PIL import Image

from ingest.layer import STEPS
from ingest.words import clean


@dataclass(frozen=True, slots=True)
class Outline:
    """How many pages a document has and what it says of itself."""

    pages: int
    title: str
    metadata: dict[str, str]


@dataclass(frozen=True, slots=True)
class Frame:
    """The part of a page that is shown, in the units of whoever measured the words."""

    x0: float
    y0: float
    width: float
    height: float


@dataclass(slots=True)
class Text:
    """A text layer as it is being read: words, their boxes in steps of the page, and lines."""

    words: list[str] = field(default_factory=list)
    boxes: list[int] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def add(self, raw: str, frame: Frame, box: tuple[float, float, float, float], *, new_line: bool) -> None:
        """Take a word that holds something readable; its box is clipped to the frame."""
        text = clean(raw)
        if not text:
            return
        x0, y0, x1, y1 = box
        across, down = STEPS / frame.width, STEPS / frame.height
        self.words.append(text)
        self.boxes += (
            _step((x0 - frame.x0) * across),
            _step((y0 - frame.y0) * down),
            _step((x1 - frame.x0) * across),
            _step((y1 - frame.y0) * down),
        )
        if new_line or not self.lines:
            self.lines.append(text)
        else:
            self.lines[-1] += " " + text


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """A page: its picture (mode RGB, or L where it has no colour) and its text layer."""

    image: Image.Image
    text: Text


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


def _step(along: float) -> int:
    if 0 <= along <= STEPS:
        return int(along + 0.5)
    return STEPS if along > STEPS else 0  # what is not a number goes to 0
