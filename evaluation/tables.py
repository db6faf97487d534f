"""Tables of the README and the documentation, written from report files: no figure is typed by hand.

A table stands between two comments. The first names what to show, the second ends the table:

    <!-- figures: pages-mine stages -->
    <!-- /figures -->

What is named first is a file of `benchmarks/results` without `.json`. A report of `recto evaluate` shows
`headline`, `stages`, `lifts`, `slices`, `grounding` or `costs`; a pattern such as `pages-*` with `overview` shows a
line for each report. Any other JSON shows `rows=PATH columns=a,b`: PATH leads to a list of objects, or to an object
of objects whose keys become the first column; without it the file itself is shown, one line a value. A single
word may instead be an alias of `docs/figures.toml`. A comment that names a path with slashes is left to the
benchmark that writes it.

`python -m evaluation.tables` writes the tables; with `--check` it only says which differ, and exits with 1.
"""

import json
import re
import shlex
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from domain.errors import RectoError, UsageError
from evaluation import markdown, report
from evaluation.report import write_text

ROOT: Final = Path(__file__).resolve().parent.parent
RESULTS: Final = Path("benchmarks") / "results"
ALIASES: Final = Path("docs") / "figures.toml"
_OPENING: Final = r"<!-- figures: ?([^\n/]*?) -->\n"
_BLOCK: Final = re.compile(rf"({_OPENING})(?:(?!<!-- figures:).)*?(<!-- /figures -->)", re.DOTALL)
_VIEWS: Final = {
    "headline": markdown.headline,
    "stages": markdown.stages,
    "lifts": markdown.lifts,
    "slices": markdown.slices,
    "grounding": markdown.grounding,
    "costs": markdown.costs,
}


def pages(root: Path) -> list[Path]:
    """The Markdown files that may hold tables."""
    return [path for path in (root / "README.md", *sorted((root / "docs").rglob("*.md"))) if path.is_file()]


def filled(text: str, results: Path, aliases: Mapping[str, str]) -> str:
    """A text with every table written anew.

    Raises:
        UsageError: a comment names a file, a view or a column that does not exist, or has no end.
    """
    if len(re.findall(_OPENING, text)) != len(_BLOCK.findall(text)):
        raise UsageError("a `<!-- figures: ... -->` has no `<!-- /figures -->` after it")

    def written(found: re.Match[str]) -> str:
        return f"{found[1]}{table(aliases.get(found[2], found[2]), results)}\n{found[3]}"

    return _BLOCK.sub(written, text)


def table(asked: str, results: Path) -> str:
    """The table that a comment asks for.

    Raises:
        UsageError: the file, the view or a column does not exist.
    """
    name, *rest = shlex.split(asked)
    if rest == ["overview"]:
        return markdown.overview([report.load(path) for path in sorted(results.glob(f"{name}.json"))])
    path = results / f"{name}.json"
    if not path.is_file():
        raise UsageError(f"there is no {path}; run the benchmark that writes it")
    if rest and rest[0] in _VIEWS:
        return _VIEWS[rest[0]](report.load(path))
    options = dict(part.partition("=")[::2] for part in rest)
    if unknown := set(options) - {"rows", "columns"}:
        raise UsageError(f"{', '.join(sorted(unknown))} is neither a view of a report nor rows= or columns=")
    value = json.loads(path.read_text(encoding="utf-8"))
    for step in filter(None, options.get("rows", "").split(".")):
        if not isinstance(value, Mapping) or step not in value:
            raise UsageError(f"{path} has no {options['rows']!r}: nothing is called {step!r}")
        value = value[step]
    return _rows(value, [c for c in options.get("columns", "").split(",") if c], path)


def _rows(value: Any, columns: Sequence[str], path: Path) -> str:
    rows = _records(value)
    names = list(columns) or list(dict.fromkeys(key for row in rows for key in row))
    if missing := [name for name in names if not any(name in row for row in rows)]:
        raise UsageError(f"{path}: no row has a column {', '.join(missing)}")
    return markdown.table(names, [[_shown(row.get(name)) for name in names] for row in rows])


def _records(value: Any) -> list[Mapping[str, Any]]:
    if isinstance(value, list):
        return [row if isinstance(row, Mapping) else {"value": row} for row in value]
    if isinstance(value, Mapping) and value and all(isinstance(v, Mapping) for v in value.values()):
        return [{"name": key, **row} for key, row in value.items()]
    if isinstance(value, Mapping):
        return [{"name": k, "value": v} for k, v in value.items() if not isinstance(v, Mapping | list)]
    return [{"value": value}]


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 10 else f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def run(root: Path, *, check: bool) -> list[str]:
    """Write every table, or only name the files whose tables differ.

    Returns:
        The files that differed, relative to the root.

    Raises:
        UsageError: a comment asks for what does not exist; names the file.
    """
    differ, listed = [], root / ALIASES
    aliases = tomllib.loads(listed.read_text(encoding="utf-8")) if listed.is_file() else {}
    for path in pages(root):
        before = path.read_text(encoding="utf-8")
        try:
            after = filled(before, root / RESULTS, aliases)
        except UsageError as error:
            raise UsageError(f"{path.relative_to(root)}: {error}") from error
        if after != before:
            differ.append(str(path.relative_to(root)))
            if not check:
                write_text(path, after)
    return differ


def main(arguments: Sequence[str], root: Path = ROOT) -> int:
    """Write or check the tables of this repository; the exit code."""
    check = "--check" in arguments
    try:
        differ = run(root, check=check)
    except RectoError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    for name in differ:
        remedy = "tables differ from the reports; run `python -m evaluation.tables`" if check else "written"
        sys.stderr.write(f"{name}: {remedy}\n")
    return 1 if differ and check else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
