"""Words as the built-in models see them: one way to split a text, one way to hash a word's letters."""

import re
import unicodedata
import zlib
from functools import lru_cache

LONGEST = 24
"""Letters of a word that count; what follows is cut off."""

_WORD = re.compile(r"[^\W_]+(?:(?<=\d)[.,](?=\d)[^\W_]+)*")


def plain(text: str) -> str:
    """Fold case, width and ligatures away, so that the same word is the same string."""
    return unicodedata.normalize("NFKC", text).casefold()


def split(text: str) -> list[str]:
    """The words of a text in order: runs of letters and digits; a number keeps its points and commas.

    Hyphens, apostrophes, slashes and every other sign end a word: `10-K` gives `10` and `k`.
    """
    return [word[:LONGEST] for word in _WORD.findall(plain(text))]


def spans(text: str) -> list[tuple[int, int]]:
    """Where the words stand in a text that is already plain."""
    return [match.span() for match in _WORD.finditer(text)]


@lru_cache(maxsize=200_000)
def grams(word: str, buckets: int) -> tuple[int, ...]:
    """Hash a word's letter n-grams of length 1 to 4 with its boundaries, and the word whole.

    Args:
        word: as `split` gives it.
        buckets: how many hash values there are; results lie in [0, buckets).

    Source: Bojanowski et al., TACL 2017 (subword n-grams), with CRC-32 as the hash.
    """
    framed = f"<{word}>"
    pieces = {framed[i : i + n] for n in (2, 3, 4) for i in range(len(framed) - n + 1)}
    pieces.update(word)
    pieces.add(framed)
    return tuple(sorted(zlib.crc32(piece.encode()) % buckets for piece in pieces))
