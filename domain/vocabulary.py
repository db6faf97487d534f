"""What pages say where a question says something else: none tells the return on assets, some tell income and assets."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files

Vocabulary = Mapping[str, Sequence[str]]
"""Phrases that are looked for too, by the phrase of a question that asks for them."""

_Phrase = tuple[str, ...]
_Table = dict[_Phrase, tuple[str, ...]]

_POSSESSIVE = re.compile(r"['’]s?(?!\w)")
_WORD = re.compile(r"[\w&]+")


def looked_for_too(text: str, own: Vocabulary | None = None) -> dict[str, list[str]]:
    """The phrases that are looked for beside a question's own words, by the phrase of it that asks for them.

    Where phrases of the vocabulary overlap, the one that begins first counts, and of those that begin together the
    longest. What one brings is looked up in turn. Nothing is brought that the question says or that was brought before.

    Args:
        text: the question.
        own: goes before the vocabulary that ships; an empty list drops one of its lines.
    """
    table = _shipped() | _table(own or {})
    longest = max(map(len, table))
    written = _split(text)
    said = _plain(written)
    told = {said[at:end] for at in range(len(said)) for end in range(at + 1, at + longest + 1)}
    found = {}
    at = 0
    while at < len(said):
        size = next((size for size in range(longest, 0, -1) if said[at : at + size] in table), 0)
        brought = [other for other in _brought(said[at : at + size], table) if _words(other) not in told]
        if brought:
            found[" ".join(written[at : at + size])] = brought
            told.update(map(_words, brought))
        at += size or 1
    return found


def _brought(phrase: _Phrase, table: _Table) -> list[str]:
    """What a phrase brings, and what that brings in turn, each once."""
    found = {phrase: ""}
    waiting = [phrase]
    while waiting:
        for other in table.get(waiting.pop(0), ()):
            if (words := _words(other)) not in found:
                found[words] = other
                waiting.append(words)
    return list(found.values())[1:]


def _split(text: str) -> list[str]:
    return _WORD.findall(_POSSESSIVE.sub("", text))


def _words(text: str) -> _Phrase:
    return _plain(_split(text))


def _plain(words: Sequence[str]) -> _Phrase:
    """Words as they are compared: in lower case, a plural like its singular, or nearly."""
    return tuple(re.sub(r"(?<=\w\w[^\Ws])s$", "", word.lower()) for word in words)


def _table(vocabulary: Vocabulary) -> _Table:
    return {_words(phrase): tuple(others) for phrase, others in vocabulary.items()}


@cache
def _shipped() -> _Table:
    text = files("domain").joinpath("vocabulary.toml").read_text(encoding="utf-8")
    return _table(tomllib.loads(text))
