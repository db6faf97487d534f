"""What a document's own table of contents says: on which page each of its parts begins."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outline:
    """A document's parts, as it lists them itself; empty where it has no list that could be read.

    Attributes:
        listed_on: the pages that hold the lists, from 1.
        parts: the page on which each part begins, from 1, and its title.
    """

    listed_on: tuple[int, ...] = ()
    parts: tuple[tuple[int, str], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.parts)
