"""How much each word of a query tells: learned from which question words the answering text holds."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from domain import words
from training.texts import Context, Pair

_POINTING = (
    "answer according author authors bar bottom chart charts color colored colour depicted described "
    "diagram displayed document documents fig figure figures following graph graphs image images left "
    "list listed mentioned page pages paper photo picture pie please plot report right section show "
    "shown shows slide slides table tables top write"
)
DEICTIC = frozenset(_POINTING.split(" "))
"""Words by which questions point at a document; its text need not hold them, and no training question does."""


@dataclass(frozen=True, slots=True)
class Worths:
    """The weight of each known word and of any other, and words such as any page holds."""

    known: Mapping[str, float]
    unknown: float
    ordinary: tuple[str, ...]


def learned(pairs: Sequence[Pair], contexts: Sequence[Context], counts: Counter[str], total: int) -> Worths:
    """Weigh words by idf times how much likelier than chance an answering text holds them.

    A word w of a question gets `idf(w) * max(0, (p - q) / (1 - q))`, where p is the smoothed share of
    questions with w whose answering text holds w, and q the share of all texts that do.

    Args:
        pairs: questions with the contexts that answer them.
        contexts: those contexts.
        counts: document frequencies over training text and pages.
        total: how many texts were counted.
    """
    held = {context.id: frozenset(words.split(context.everything)) for context in contexts}
    asked: Counter[str] = Counter()
    hits: Counter[str] = Counter()
    for pair in pairs:
        if pair.split == "weak" or pair.context not in held or pair.context.startswith("wiki-"):
            continue
        for word in set(words.split(pair.question)):
            asked[word] += 1
            hits[word] += word in held[pair.context]
    known = {
        word: _worth((asked[word], hits[word]), counts[word], total, pointing=word in DEICTIC)
        for word in {*counts, *asked}
        if counts[word] > 2 or asked[word] > 20
    }
    return Worths(known, _worth((0, 0), 1, total, pointing=False), _ordinary(counts))


def _ordinary(counts: Counter[str]) -> tuple[str, ...]:
    return tuple(word for word, _ in counts.most_common(2048))[::4]


def _worth(seen: tuple[int, int], count: int, total: int, *, pointing: bool) -> float:
    asked, hits = seen
    trust, guess = 20.0, 0.2 if pointing else 0.6
    present = (hits + trust * guess) / (asked + trust)
    chance = (count + 0.5) / (total + 1)
    return max(0.0, (present - chance) / (1 - chance)) * math.log((total + 1) / (count + 0.5))
