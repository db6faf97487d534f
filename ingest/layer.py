"""A page's text layer: its text, and where each word stands, packed for storage."""

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from domain.errors import StoreError
from domain.page import Box, Word

_LEVEL = 6
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Layer:
    """The text of a page in reading order, and its words in the same order."""

    text: str
    words: tuple[Word, ...]


def pack(layer: Layer) -> bytes:
    """Compress a text layer; equal layers give equal bytes. Boxes keep 1/10,000 of the page."""
    words = [[word.text, *(round(10_000 * side) for side in _sides(word.box))] for word in layer.words]
    record = {"version": _VERSION, "text": layer.text, "words": words}
    return zlib.compress(json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode(), _LEVEL)


def unpack(data: bytes) -> Layer:
    """Read what `pack` wrote.

    Raises:
        StoreError: the bytes are something else.
    """
    try:
        record = json.loads(zlib.decompress(data))
        words = tuple(Word(text, Box(*(side / 10_000 for side in sides))) for text, *sides in record["words"])
        return Layer(record["text"], words)
    except (zlib.error, ValueError, KeyError, TypeError) as error:
        raise StoreError("a stored text layer is damaged; run `recto verify --repair`") from error


def plain(lines: Sequence[str]) -> str:
    """Join lines, healing words that were hyphenated at a line's end."""
    text = ""
    for line in lines:
        broken = text.endswith("-\n") and text[-3:-2].islower() and line[:1].islower()
        if broken or text.endswith("\u00ad\n"):
            text = text[:-2]
        text += line + "\n"
    return text.rstrip("\n")


def _sides(box: Box) -> tuple[float, float, float, float]:
    return (box.x0, box.y0, box.x1, box.y1)
