"""`report.html`: one page that needs nothing else, with plots and the worst questions in pictures."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from evaluation import markdown
from evaluation.gallery import Case
from evaluation.plots import plots
from evaluation.report import Report

_TEMPLATE: Final = "report.html"


@dataclass(frozen=True, slots=True)
class _Table:
    """A Markdown table taken apart for the page."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def page(report: Report, cases: Sequence[Case] = ()) -> str:
    """Write the page; every text in it is escaped and nothing is loaded from elsewhere."""
    environment = Environment(
        loader=PackageLoader("evaluation"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    drawn = {
        title: "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
        for title, svg in plots(report).items()
    }
    return environment.get_template(_TEMPLATE).render(
        report=report,
        source=markdown.source(report),
        tables=_tables(report),
        plots=drawn,
        cases=cases,
    )


def _tables(report: Report) -> list[_Table]:
    texts = {
        "Figures": markdown.headline(report),
        "Stages": markdown.stages(report),
        "What each step changed": markdown.lifts(report),
        "Grounding": markdown.grounding(report),
        "Slices": markdown.slices(report) if report.slices else "",
        "Costs": markdown.costs(report),
    }
    return [_parsed(title, text) for title, text in texts.items() if text]


def _parsed(title: str, text: str) -> _Table:
    """Read back a table of `markdown.table`, so that page and Markdown cannot differ."""
    head, _, *rows = ([cell.replace("\\|", "|") for cell in _cells(line)] for line in text.splitlines())
    return _Table(title, tuple(head), tuple(tuple(row) for row in rows))


def _cells(line: str) -> list[str]:
    inner = line.removeprefix("| ").removesuffix(" |").replace("\\|", "\0")
    return [cell.replace("\0", "\\|") for cell in inner.split(" | ")]
