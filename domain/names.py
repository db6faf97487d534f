"""Names that people mistype, and what they may have meant."""

import difflib
from collections.abc import Iterable

from domain.errors import NotFoundError


def near(name: str, known: Iterable[str], *, count: int = 3) -> tuple[str, ...]:
    """The known names most like `name`, best first, each once, however they are written in case."""
    by_folded = {candidate.casefold(): candidate for candidate in known}
    found = difflib.get_close_matches(name.casefold(), by_folded, n=count, cutoff=0.5)
    inside = [folded for folded in sorted(by_folded) if name and name.casefold() in folded]
    return tuple(by_folded[folded] for folded in dict.fromkeys([*found, *inside]))[:count]


def unknown(kind: str, name: str, known: Iterable[str]) -> NotFoundError:
    """The error for a name that does not exist, with the near ones, or all where none is near."""
    names = tuple(dict.fromkeys(known))
    close = near(name, names)
    hint = f"did you mean {' or '.join(close)}?" if close else f"there are: {', '.join(sorted(names))}"
    return NotFoundError(f"there is no {kind} {name!r}; {hint}")
