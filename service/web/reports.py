"""Evaluation reports that lie in the library: a list, and each as it was written."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from fastapi import Path as PathParameter
from fastapi.responses import FileResponse

from domain.errors import NotFoundError
from service.desk import CallerNow, Desk, DeskNow
from service.problems import ProblemError
from service.web.render import Place, render

router = APIRouter(include_in_schema=False)
Name = Annotated[str, PathParameter(max_length=200, pattern=r"^[^/\\.][^/\\]*$")]
_CSP = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"  # no script can run in it
_MAIN = ("nDCG@5", "nDCG@10", "recall@100")


@dataclass(frozen=True, slots=True)
class Figure:
    """A mean over questions and its 95% interval, as text."""

    mean: str
    interval: str


@dataclass(frozen=True, slots=True)
class Report:
    """One evaluation: its folder's name, what was measured, and the last stage's main figures."""

    name: str
    data: str
    created: str
    encoder: str
    reranker: str
    questions: int
    figures: dict[str, "Figure"]
    has_page: bool


@router.get("/reports")
def reports(request: Request, desk: DeskNow, caller: CallerNow) -> Response:
    """Every evaluation report, the newest first."""
    _see_all(request)
    caller.need("read")
    place = Place("reports.html", "Evaluation reports", "reports")
    return render(
        request, place, reports=_reports(folder(desk)), measures=_MAIN, folder=folder(desk).resolve()
    )


@router.get("/reports/{name}")
def report(request: Request, name: Name, desk: DeskNow) -> Response:
    """One report as its evaluation wrote it; nothing in it can run or load anything."""
    _see_all(request)
    place = folder(desk) / name
    page = place / "report.html"
    if page.is_file() and page.resolve().is_relative_to(folder(desk).resolve()):
        return FileResponse(page, media_type="text/html", headers={"Content-Security-Policy": _CSP})
    found = _read(place)
    if found is None:
        raise NotFoundError(f"there is no report {name!r}")
    return render(request, Place("report.html", found.name, "reports"), report=found)


@router.get("/docs")
def docs(request: Request) -> Response:
    """The API, for people, from the same OpenAPI that machines read; nothing is loaded from elsewhere."""
    schema: dict[str, Any] = request.app.openapi()
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, verbs in schema["paths"].items():
        for verb, operation in verbs.items():
            entry = {"path": path, "verb": verb.upper(), **_told(operation)}
            groups.setdefault(operation.get("tags", ["other"])[0], []).append(entry)
    return render(request, Place("docs.html", "API", "api"), groups=groups, schemas=schema["components"])


def folder(desk: Desk) -> Path:
    """Where reports lie."""
    return desk.settings.reports or desk.library.directory / "reports"


def _see_all(request: Request) -> None:
    """A report shows figures over every collection: a key held to some must not see it."""
    caller = request.scope.get("state", {}).get("caller")
    if getattr(caller, "collections", frozenset()) is not None:
        raise ProblemError(403, "forbidden", "reports cover every collection; this key does not")


def _reports(place: Path) -> list[Report]:
    if not place.is_dir():
        return []
    found = [_read(entry) for entry in place.iterdir() if entry.is_dir()]
    return sorted((one for one in found if one), key=lambda one: one.created, reverse=True)


def _read(place: Path) -> Report | None:
    try:
        raw = json.loads((place / "report.json").read_text(encoding="utf-8"))
        origin, stages = raw["provenance"], raw["stages"]
        last = stages[-1]["figures"] if stages else {}
        figures = {name: _figure(last[name]) for name in _MAIN if name in last}
        return Report(
            name=place.name,
            data=str(origin["data"]),
            created=str(origin["created"]),
            encoder=str((origin["encoder"] or {}).get("model", "none")),
            reranker=str((origin["reranker"] or {}).get("model", "none")),
            questions=len(raw["queries"]),
            figures=figures,
            has_page=(place / "report.html").is_file(),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # a folder that holds no report of this form is not listed


def _figure(raw: dict[str, Any]) -> Figure:
    interval = raw.get("interval") or {}
    text = f"{interval['low']:.3f}–{interval['high']:.3f}" if interval else ""
    return Figure(f"{raw['mean']:.3f}", text)


def _told(operation: dict[str, Any]) -> dict[str, Any]:
    body = operation.get("requestBody", {}).get("content", {})
    parameters = [
        {
            "name": found["name"],
            "where": found["in"],
            "required": found.get("required", False),
            "text": found.get("description", ""),
        }
        for found in operation.get("parameters", [])
    ]
    return {
        "summary": operation.get("summary", ""),
        "text": operation.get("description", ""),
        "parameters": parameters,
        "takes": [(kind, _name(value)) for kind, value in body.items()],
        "gives": [
            (status, answer.get("description", ""), _name(next(iter(answer.get("content", {}).values()), {})))
            for status, answer in sorted(operation.get("responses", {}).items())
        ],
    }


def _name(content: dict[str, Any]) -> str:
    return str(content.get("schema", {}).get("$ref", "")).rpartition("/")[2]
