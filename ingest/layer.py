"""A page's text layer: its text, and where each word stands, packed for storage."""

import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from domain.errors import StoreError
from domain.page import Box, Word

STEPS = 10_000
"""Boxes are kept in whole steps of 1/10,000 of the page."""

_LEVEL = 3  # of deflate: level 6 takes twice as long and saves a twentieth
_VERSION = 1
_MAX_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Layer:
    """The text of a page in reading order, and its words in the same order; `recognised`: by OCR too."""

    text: str = ""
    words: tuple[Word, ...] = ()
    recognised: bool = False


def pack_words(text: str, words: Sequence[Word], *, recognised: bool = False) -> bytes:
    """Compress a text layer whose words come with their boxes."""
    sides = [
        round(min(max(side, 0.0), 1.0) * STEPS)
        for word in words
        for side in (word.box.x0, word.box.y0, word.box.x1, word.box.y1)
    ]
    return pack(text, [word.text for word in words], sides, recognised=recognised)


def pack(text: str, words: Sequence[str], boxes: Sequence[int], *, recognised: bool = False) -> bytes:
    """Compress a text layer; equal layers give equal bytes.

    Args:
        text: of the whole page.
        words: in reading order.
        boxes: x0 y0 x1 y1 of every word, one after the other, each from 0 to `STEPS`.
        recognised: whether OCR read it.

    Raises:
        ValueError: there are not four sides for every word.
    """
    if len(boxes) != 4 * len(words):
        raise ValueError(f"{len(words)} words need {4 * len(words)} sides, not {len(boxes)}")
    record: dict[str, Any] = {"version": _VERSION, "text": text, "words": words, "boxes": boxes}
    if recognised:
        record["recognised"] = True
    return zlib.compress(json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode(), _LEVEL)


def unpack(data: bytes) -> Layer:
    """Read what `pack` wrote.

    Raises:
        StoreError: the bytes are something else.
    """
    try:
        record = json.loads(_inflated(data))
        words = _words(record["words"], record["boxes"])
        return Layer(str(record["text"]), words, bool(record.get("recognised", False)))
    except (zlib.error, ValueError, KeyError, TypeError) as error:
        raise StoreError("a stored text layer is damaged; run `recto verify --repair`") from error


def plain(lines: Sequence[str]) -> str:
    """Join lines, healing words that were hyphenated at a line's end."""
    pieces: list[str] = []
    for line in lines:
        last = pieces[-1] if pieces else ""
        hyphened = last.endswith("-") and last[-2:-1].islower() and line[:1].islower()
        if hyphened or last.endswith("\u00ad"):
            pieces[-1] = last[:-1] + line
        else:
            pieces.append(line)
    return "\n".join(pieces)


def places(sides: Sequence[int]) -> Iterator[Box]:
    """The boxes whose sides, x0 y0 x1 y1 of one after the other, are given in `STEPS`."""
    shares = [side / STEPS for side in sides]
    corners = (iter(shares),) * 4
    return (Box(*box) for box in zip(*corners, strict=True))


def _inflated(data: bytes) -> bytes:
    inflater = zlib.decompressobj()
    text = inflater.decompress(data, _MAX_BYTES)
    if not inflater.eof:
        raise ValueError("cut off, or far too long")
    return text


def _words(texts: list[Any], sides: list[Any]) -> tuple[Word, ...]:
    return tuple(Word(str(text), box) for text, box in zip(texts, places(sides), strict=True))
