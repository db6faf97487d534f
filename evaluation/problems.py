"""What can be wrong with a benchmark's files: every finding names its file and line."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from domain.errors import UsageError

Kind = Literal["schema", "duplicate", "unknown_query", "unknown_page", "missing_document", "no_positive"]

TOLERABLE: Final[frozenset[Kind]] = frozenset(
    {"unknown_query", "unknown_page", "missing_document", "no_positive"}
)
"""What `--allow-missing` leaves out and counts; a wrong schema or a duplicate is never tolerated."""

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding: where it stands (`line` from 1) and what would do."""

    kind: Kind
    path: Path
    line: int
    what: str

    def __str__(self) -> str:
        """Return `file:line: what`, as compilers write it."""
        return f"{self.path}:{self.line}: {self.what}"


def settle(problems: Iterable[Problem], *, allow_missing: bool) -> Mapping[str, int]:
    """Count what was left out, or refuse.

    Args:
        problems: every finding.
        allow_missing: go on where only something is missing.

    Returns:
        How many findings of each kind were left out.

    Raises:
        UsageError: a finding cannot be tolerated; the text holds the first twenty, one a line.
    """
    found = list(problems)
    refused = [p for p in found if not (allow_missing and p.kind in TOLERABLE)]
    if refused:
        raise UsageError(_sentence(refused))
    return dict(sorted(Counter(p.kind for p in found).items()))


def _sentence(problems: list[Problem]) -> str:
    lines = [str(problem) for problem in problems[:_SHOWN]]
    if len(problems) > _SHOWN:
        lines.append(f"... and {len(problems) - _SHOWN} more")
    if all(problem.kind in TOLERABLE for problem in problems):
        lines.append("correct the files, or leave these out with --allow-missing")
    return "\n".join(lines)
