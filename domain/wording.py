"""What a question asks for, apart from how it wants to be answered, and in words that pages hold."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from domain.page import Query
from domain.run import Run
from domain.stage import Stage
from domain.vocabulary import Vocabulary, looked_for_too


@dataclass(frozen=True, slots=True)
class Wording:
    """What is searched for in place of a question, and what a person should know of it.

    Attributes:
        query: what is searched for.
        notes: what a person should know.
        meant: the question without the words that no page holds, where it has others in their place.
    """

    query: Query
    notes: tuple[str, ...] = ()
    meant: str = ""


Reword = Callable[[Query], Wording]
Nearest = Callable[[str], str | None]
"""What pages hold in place of this word, misspelled or run together; None for a word that pages hold, or like none."""

LEAST_WORDS = 2
"""A question keeps so many words, or it is left as it is."""

MOST_WORDS = 64
"""Words of a question that are looked up, the first ones."""

NAMED = 3
"""Phrases of the vocabulary that a note names; it counts the others."""

_VERB = r"(?:write|save|format|give|present|represent|express|return|provide|list|enumerate|state|report)(?:\s+me)?"
_HOW = re.compile(
    rf"""(?:please\s+)?(?:
        an(?:sw|ws)er\s+(?:in|with|as)\b               # Answer in millions.
      | round\s+(?:your|the|it|them|to|up|down|off)\b  # Round your answer to two decimal places.
      | format\s+(?:your|the|it|all|each|every)\b.*\bas\b  # Format the date as YYYY-MM.
      | {_VERB}(?:\s+down)?\b.*\b(?:
            (?:the|your)\s+answers?(?!\s+(?:of|to)\b) | format | int | integer | float | string | decimals?
          | (?:in|as|within)\s+(?:a\s+|the\s+)?list | (?:ascending|descending|alphabetical|numerical)\s+order
        )\b
      | (?:the|your)\s+answers?\s+(?:should|shall|must)\b
      | if\b.*(?:,|\bthen|\bplease)\s+(?:(?:then|please)\s+)*(?:state|say|answer|respond|reply)\b  # If so, say so
      | e\.g\.
    )""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
_SEAM = re.compile(r"(?<=[?!])\s*|(?<=[\w\])\"'][.])\s+(?=[A-Z])")
_WORD = re.compile(r"[^\W\d_]{5,}")
_BRITISH = (
    ("our", "or"), ("re$", "er"), ("tre(?=s$|d$)", "ter"), ("([aeiou])ll(?=e|i|o)", r"\1l"), ("ys(?=e|ing)", "yz"),
    ("is(?=e|ing|ation)", "iz"), ("ence", "ense"), ("ogue", "og"), ("amme", "am"), ("ae|oe", "e"),
)  # fmt: skip


def without_form(text: str) -> str:
    """A question without the sentences that say how to write the answer down.

    "What was the revenue? Answer in millions, rounded to one decimal." is asked of a page as "What was the revenue?".
    """
    sentences = [part.strip() for part in _SEAM.split(text) if part.strip()]
    kept = " ".join(part for part in sentences if not _HOW.match(part))
    return kept if len(kept.split()) >= LEAST_WORDS else text


def spelled(query: Query, nearest: Nearest) -> Wording:
    """A question in which each word that no page holds is followed by the one spelled most like it."""
    asked = list(dict.fromkeys(_WORD.findall(query.text)))[:MOST_WORDS]
    found = {word: other for word in asked if (other := nearest(word))}
    read = _WORD.sub(lambda match: " ".join(filter(None, (match[0], found.get(match[0])))), query.text)
    notes = (f"no page says “{word}”: “{other}” is searched for too" for word, other in found.items())
    meant = _WORD.sub(lambda match: found.get(match[0], match[0]), query.text) if found else ""
    return Wording(replace(query, text=read), tuple(notes), meant)


def same_word(one: str, other: str) -> bool:
    """Whether two spellings are of one English word, the British and the American: "colour", "color"."""
    return _american(one) == _american(other)


def _american(word: str) -> str:
    for british, american in _BRITISH:
        word = re.sub(british, american, word)
    return word


def widened(wording: Wording, own: Vocabulary) -> Wording:
    """A question with what its pages may say in its place; see `domain.vocabulary`."""
    found = looked_for_too(wording.meant or wording.query.text, own)
    notes = (_told(phrase, others) for phrase, others in found.items())
    query = replace(wording.query, also=tuple(chain.from_iterable(found.values())))
    return replace(wording, query=query, notes=(*wording.notes, *notes))


def _told(phrase: str, others: Sequence[str]) -> str:
    named = ", ".join(f"“{other}”" for other in others[:NAMED])
    more = f" and {len(others) - NAMED} more" if len(others) > NAMED else ""
    return f"“{phrase}” also searches for {named}{more}"


def reworded(reword: Reword, stage: Stage) -> Stage:
    """The stage, asked in other words; the answers are to the questions as they were asked."""

    def in_words(run: Run) -> Run:
        words = [reword(answer.query) for answer in run.answers]
        pairs = zip(run.answers, words, strict=True)
        found = stage(Run(tuple(replace(answer, query=wording.query) for answer, wording in pairs)))
        return Run(
            tuple(
                replace(answer, query=asked.query, notes=(*wording.notes, *answer.notes))
                for answer, asked, wording in zip(found.answers, run.answers, words, strict=True)
            )
        )

    return in_words
