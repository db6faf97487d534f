"""A page's text layer as it is stored: compressed JSON, words with their boxes."""

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass

from domain.page import Box, Word

DIGITS = 5
"""Decimals kept of a box's fractions: a hundredth of a pixel on the largest page."""


@dataclass(frozen=True, slots=True)
class PageWords:
    """The text of a page in reading order, and its words with their places."""

    text: str = ""
    words: tuple[Word, ...] = ()


def packed(text: str, words: Sequence[Word]) -> bytes:
    """Encode a page's text; equal texts give equal bytes."""
    rows = [[w.text, *(round(v, DIGITS) for v in (w.box.x0, w.box.y0, w.box.x1, w.box.y1))] for w in words]
    plain = json.dumps({"text": text, "words": rows}, ensure_ascii=False, separators=(",", ":"))
    return gzip.compress(plain.encode("utf-8", errors="replace"), compresslevel=3, mtime=0)


def unpacked(data: bytes) -> PageWords:
    """Decode what `packed` wrote."""
    found = json.loads(gzip.decompress(data))
    return PageWords(found["text"], tuple(Word(row[0], Box(*row[1:])) for row in found["words"]))
