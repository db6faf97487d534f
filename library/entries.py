"""What is written into the catalogue."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NewDocument:
    """A file that was accepted: its names, content and what the probe said."""

    id: str
    collection: str
    name: str
    sha256: str
    size_bytes: int
    kind: str
    title: str
    pages: int
    blob: str
    fields: Mapping[str, str]
    replaces: str | None = None


@dataclass(frozen=True, slots=True)
class StoredPage:
    """Where the catalogue says a rendered page's picture and words are."""

    number: int
    width_px: int
    height_px: int
    image: str
    media_type: str
    words: str
    characters: int
    wordless: float
    blank: bool
