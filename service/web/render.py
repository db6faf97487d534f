"""Fills the templates; every page has one frame and one set of filters."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from retrieve.snippet import pieces
from service.access import Caller
from service.problems import ProblemError

TEMPLATES = Path(__file__).parent / "templates"
STATIC = Path(__file__).parent / "static"
_LEADERS = re.compile(r"\s*(?:[.·_\-–—]\s?){4,}\s*")
_STEPS = ("bytes", "kB", "MB", "GB", "TB")


@dataclass(frozen=True, slots=True)
class Place:
    """A page of the web page: the template, the title, and which entry of the navigation it belongs to."""

    template: str
    title: str
    nav: str = ""
    status: int = 200


def render(request: Request, place: Place, **values: Any) -> HTMLResponse:
    """Fill a page."""
    caller = request.scope.get("state", {}).get("caller")
    frame = {
        "title": place.title,
        "nav": place.nav,
        "caller": caller,
        "signed_in": isinstance(caller, Caller) and caller.name != "local",
        "may_write": isinstance(caller, Caller) and "write" in caller.scopes,
    }
    body = environment().get_template(place.template).render({**frame, **values})
    return HTMLResponse(body, place.status)


def problem_page(request: Request, problem: ProblemError) -> HTMLResponse:
    """A refusal, for people."""
    title = HTTPStatus(problem.status).phrase
    return render(request, Place("problem.html", title, status=problem.status), problem=problem)


@cache
def environment() -> Environment:
    """The templates; a name that is not given is an error, and everything is escaped."""
    found = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)
    found.trim_blocks = found.lstrip_blocks = True
    found.filters |= {
        "size": size,
        "count": count,
        "ms": milliseconds,
        "segment": segment,
        "query": query,
        "tidy": tidy,
        "marked": marked,
    }
    return found


def size(value: int) -> str:
    """Bytes for people: `3.4 MB`."""
    amount, step = float(value), 0
    while amount >= 1000 and step < len(_STEPS) - 1:
        amount, step = amount / 1000, step + 1
    return f"{amount:.0f} {_STEPS[step]}" if step == 0 or amount >= 100 else f"{amount:.1f} {_STEPS[step]}"


def count(value: int, one: str, many: str = "") -> str:
    """A number and its noun: `1 page`, `1,204 pages`."""
    return f"{value:,} {one if value == 1 else many or one + 's'}"


def milliseconds(value: float) -> str:
    """A duration for people: `34 ms`, `1.2 s`."""
    return f"{value:.0f} ms" if value < 1000 else f"{value / 1000:.1f} s"


def tidy(text: str) -> str:
    """Text for reading: rows of dots and lines, as in tables of contents, become one ellipsis."""
    return _LEADERS.sub(" … ", text)


def marked(text: str, query_text: str) -> Markup:
    """Text with the words of a question marked; everything else is escaped."""
    return Markup("").join(
        Markup("<mark>{}</mark>").format(piece) if hit else escape(piece)
        for piece, hit in pieces(text, query_text)
    )


def segment(text: str) -> str:
    """A text as one segment of a path."""
    return quote(text, safe="")


def query(values: dict[str, Any]) -> str:
    """Parameters for a link; what is empty is left out."""
    pairs: Sequence[tuple[str, str]] = [(k, str(v)) for k, v in values.items() if v not in (None, "", False)]
    return urlencode(pairs)
