"""From text to search terms: words, numbers, codes and CJK pairs, the same for pages and questions."""

import re
import unicodedata
from itertools import islice

CJK = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer: written without spaces too
    "\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
    "\U00020000-\U0003134f"
)
LETTERS = rf"[^\W_{CJK}]"
RUN = re.compile(
    rf"(?P<cjk>[{CJK}]+)"
    r"|(?P<number>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+\.\d+)(?![\w.]*\d)(?P<percent>\s?%)?"
    rf"|(?P<code>{LETTERS}+(?:[-./_'’&:@+]\n?{LETTERS}+)*)(?P<share>%)?"
)
PARTS = re.compile(rf"{LETTERS}+")
SEAM = re.compile(
    r"(?<=[^\W\d_]{2})(?=\d{2})|(?<=\d{2})(?=[^\W\d_]{2})"
    r"|(?<=\d{4})(?=[qh]\d)|(?<=\b[qh]\d)(?=\d{4}|fy)"  # 2023q2, q22023
)
POSSESSIVE = re.compile(r"['’]s?$|['’]s(?=\W|$)")
WORD = re.compile(r"[^\W\d_]{3}|[" + CJK + "]{2}")
HEADING_LINES, HEADING_WORDS = 2, 24
LONGEST = 40
_KINDS = (
    "algorithm annex appendix article box chapter chart diagram equation exhibit fig figure graph item lemma "
    "listing map note part plate problem schedule scheme section step table theorem"
)
_NAMED = (
    rf"(?P<kind>(?i:{'|'.join(sorted(_KINDS.split(), key=len, reverse=True))}))\.?[ \xa0]*(?:no\.[ \xa0]*)?"
    r"(?P<number>\d{1,3}(?:[.\-–]\d{1,3}){0,3}[a-zA-Z]?|(?<=[ \xa0])(?:[A-Z]|[IVX]{1,5}))(?![\w%]|[.,]\d)"
)
_LABEL = re.compile(rf"(?<![\w\"'“‘]){_NAMED}")  # a name in quotes is an example of how to answer
_CAPTION = re.compile(rf"^\W{{0,3}}{_NAMED}", re.MULTILINE)

_STOP_WORDS = (
    "a about according after all also an and any are as at be because been being between both but by can "
    "could did do does doing down during each for from further had has have having he her here his how i if "
    "in into is it its itself just me more most my no nor not of off on once only or other our out over own "
    "per please same shall she should so some such than that the their them then there these they this "
    "those through to too under until up upon us was we were what when where which while who whom whose why "
    "will with would you your "
    # what a question says of itself and not of what it looks for
    "according analyst answer answered answers assume based document documents following follows give given "
    "information list mentioned page pages provide question questions response say says show shown shows "
    "use used using"
)
STOP_WORDS = frozenset(_STOP_WORDS.split())


def terms(text: str) -> list[str]:
    """The exact terms of a text, in reading order, lower case.

    A number loses its thousands separators (`$1,577` is `1577`), a share is also found with its sign
    (`3.1%`), a code by its parts and as one (`10-K` is `10`, `k`, `10k`; `FY2018` is also `fy` and `2018`,
    `2023Q2` also `2023` and `q2`).
    Scripts written without spaces give every pair of neighbouring characters.
    """
    found: list[str] = []
    for match in RUN.finditer(unicodedata.normalize("NFKC", text).lower()):
        if match["cjk"]:
            found.extend(_pairs(match["cjk"]))
        elif match["number"]:
            found.extend(_number(match["number"], share=bool(match["percent"])))
        else:
            found.extend(_code(match["code"], share=bool(match["share"])))
    return found


def folded(term: str) -> str:
    """The term without accents: `café` is `cafe`."""
    if term.isascii():
        return term
    return "".join(c for c in unicodedata.normalize("NFD", term) if not unicodedata.combining(c))


def heading(text: str) -> str:
    """The first two lines of a page's text that hold a word, `HEADING_WORDS` at most: its heading, where it has one."""
    lines = (line for line in text.splitlines() if WORD.search(line))
    return " ".join(" ".join(islice(lines, HEADING_LINES)).split()[:HEADING_WORDS])


def captions(text: str) -> list[str]:
    """What stands at the beginning of a page's lines with its number: `table:2-1` of "Table 2.1: Results"."""
    return list(dict.fromkeys(_label(match) for match in _CAPTION.finditer(text)))


def labels(question: str) -> list[str]:
    """What a question names by its number, as `captions` gives it: `figure:3` of "the bars in Fig. 3"."""
    return list(dict.fromkeys(_label(match) for match in _LABEL.finditer(question)))


def compounds(words: list[str]) -> list[str]:
    """Each two and three neighbouring words run together: `cvshealth` of "CVS Health", as files are named."""
    return ["".join(words[at : at + size]) for size in (2, 3) for at in range(len(words) - size + 1)]


def content(words: list[str]) -> list[str]:
    """The words without those that every text has; all of them when nothing else would be left."""
    return [word for word in words if word not in STOP_WORDS] or words


def _label(match: re.Match[str]) -> str:
    kind = match["kind"].lower()
    return f"{'figure' if kind == 'fig' else kind}:{re.sub('[.–]', '-', match['number'].lower())}"


def _pairs(run: str) -> list[str]:
    return [run] if len(run) == 1 else [run[at : at + 2] for at in range(len(run) - 1)]


def _number(text: str, *, share: bool) -> list[str]:
    plain = text.replace(",", "")
    found = [plain]
    whole, _, decimals = plain.partition(".")
    if decimals and not decimals.strip("0"):
        found.append(whole)
    if share:
        found.append(plain + "%")
    return found


def _code(text: str, *, share: bool) -> list[str]:
    text = POSSESSIVE.sub("", text)
    found: list[str] = []
    parts = PARTS.findall(text)
    for part in parts:
        found.append(part[:LONGEST])
        pieces = SEAM.split(part)
        if len(pieces) > 1:
            found.extend(piece[:LONGEST] for piece in pieces)
    if len(parts) > 1:
        found.append("".join(parts)[:LONGEST])
    if share and parts:
        found.append(parts[-1][:LONGEST] + "%")
    return found
