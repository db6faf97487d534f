"""The piece of a page's text in which most words of the question stand."""

import re
from collections.abc import Mapping
from functools import lru_cache

from retrieve.words import content, folded, terms

TOLD = 0.25
"""What a word of the title is worth beside one of its length that is not."""
TOKEN = re.compile(r"\S+")
LEADER = re.compile(r"[.…·_-]{4,}")
"""The dots between an entry of a table of contents and its page, which say nothing."""
WORD = re.compile(r"[^\W_](?:\S*[^\W_%])?%?")


def snippet(text: str, query: str, *, title: str = "", width: int = 160) -> str:
    """Plain text around the best match: whole words, one line, at most about `width` characters.

    The window holds the most different words of the question, rarer (longer) ones counting more and those of the
    title less, which head and foot of every page repeat; ties go to the first. Without a match it is the page's
    beginning; empty where there is no text.

    Args:
        text: the page's text layer.
        query: the question, in any form.
        title: what is shown beside the snippet anyway: the document's title and name.
        width: characters, the marks of omission included.
    """
    spans = [(m.start(), m.end()) for m in TOKEN.finditer(text) if not LEADER.fullmatch(m.group())]
    if not spans:
        return ""
    wanted = {_stem(word) for word in content(terms(query))}
    told = {_stem(word) for word in terms(title)}
    worth = {word: (1 + min(len(word), 12) / 12) * (TOLD if word in told else 1) for word in wanted}
    matched = [_stems(text[a:b]) & wanted for a, b in spans]
    first, last = _window(spans, matched, worth, max(width - 4, 1))
    body = " ".join(text[a:b] for a, b in spans[first:last])
    return ("… " if first else "") + body + (" …" if last < len(spans) else "")


def pieces(text: str, query: str) -> tuple[tuple[str, bool], ...]:
    """A text cut where its words begin and end, each piece with whether the question has that word.

    The pieces, joined, are the text; a word of the question is matched in its stem, as `snippet` does it.
    """
    wanted = {_stem(word) for word in content(terms(query))}
    found: list[tuple[str, bool]] = []
    last = 0
    for word in WORD.finditer(text):
        if not wanted.isdisjoint(_stems(word.group())):
            found += [(text[last : word.start()], False), (word.group(), True)]
            last = word.end()
    found.append((text[last:], False))
    return tuple(piece for piece in found if piece[0])


def _window(
    spans: list[tuple[int, int]], matched: list[frozenset[str]], worth: Mapping[str, float], width: int
) -> tuple[int, int]:
    best, best_score, last = (0, 1), -1.0, 0
    for first in range(len(spans)):
        if first and not matched[first] and best_score >= 0:
            continue  # a window that starts at no match is no better than the one that starts at the next
        last = _end(spans, first, width)
        found = frozenset[str]().union(*matched[first:last])
        score = sum(worth[word] for word in found)
        if score > best_score:
            best, best_score = (first, last), score
    return _centred(spans, best, matched, width)


def _end(spans: list[tuple[int, int]], first: int, width: int) -> int:
    last = first + 1
    length = spans[first][1] - spans[first][0]
    while last < len(spans) and length + 1 + spans[last][1] - spans[last][0] <= width:
        length += 1 + spans[last][1] - spans[last][0]
        last += 1
    return last


def _centred(
    spans: list[tuple[int, int]], best: tuple[int, int], matched: list[frozenset[str]], width: int
) -> tuple[int, int]:
    """Move the window back so that the matches stand in its middle and not at its start."""
    hits = [at for at in range(*best) if matched[at]]
    if not hits:
        return best
    used = sum(b - a + 1 for a, b in spans[best[0] : hits[-1] + 1])
    room = (width - used) // 2
    first = best[0]
    while first > 0 and room >= spans[first - 1][1] - spans[first - 1][0] + 1:
        first -= 1
        room -= spans[first][1] - spans[first][0] + 1
    return first, _end(spans, first, width)


@lru_cache(maxsize=50_000)
def _stems(token: str) -> frozenset[str]:
    """The stems of a token's words; the same few thousand tokens make up most pages."""
    return frozenset(_stem(word) for word in terms(token))


def _stem(word: str) -> str:
    plain = folded(word)
    for ending in ("ations", "ation", "ings", "ing", "ies", "ed", "es", "s", "y"):
        if plain.endswith(ending) and len(plain) - len(ending) >= 4:
            return plain[: -len(ending)]
    return plain
