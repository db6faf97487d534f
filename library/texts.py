"""A page's text layer as it is stored: compressed JSON, words with their boxes."""

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass

from domain.page import Box, Word

DIGITS = 5
"""Decimals kept of a box's fractions: a hundredth of a pixel on the largest page."""


WORDS_TYPE = "application/zlib"


@dataclass(frozen=True, slots=True)
class PageWords:
    """The text of a page in reading order, and its words with their places; `recognised`: OCR has read it."""

    text: str = ""
    words: tuple[Word, ...] = ()
    recognised: bool = False


def packed(text: str, words: Sequence[Word], *, recognised: bool = False) -> bytes:
    """Encode a page's text; equal texts give equal bytes."""
    rows = [[w.text, *(round(v, DIGITS) for v in (w.box.x0, w.box.y0, w.box.x1, w.box.y1))] for w in words]
    value = {"text": text, "words": rows} | ({"recognised": True} if recognised else {})
    plain = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return gzip.compress(plain.encode("utf-8", errors="replace"), compresslevel=3, mtime=0)


def unpacked(data: bytes) -> PageWords:
    """Decode what `packed` wrote."""
    found = json.loads(gzip.decompress(data))
    words = tuple(Word(row[0], Box(*row[1:])) for row in found["words"])
    return PageWords(found["text"], words, found.get("recognised", False))
