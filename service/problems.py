"""Every refusal over HTTP: a problem in the form of RFC 9457 that names the input and the remedy."""

import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from domain.errors import (
    BusyError,
    DocumentError,
    EngineError,
    FullDiskError,
    ModelError,
    NotFoundError,
    RectoError,
    StoreError,
    UsageError,
    is_full_disk,
)

MEDIA_TYPE = "application/problem+json"
log = logging.getLogger(__name__)


class Problem(BaseModel):
    """What went wrong, in the form of RFC 9457."""

    type: str = Field(description="What kind of problem, as a relative URI", examples=["/problems/not-found"])
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(description="The input and the remedy", examples=["there is no document 'a1'"])
    code: str = Field(description="A word for machines", examples=["not-found"])
    request_id: str = Field(default="", description="Stands in the service's log too")
    errors: list[dict[str, Any]] = Field(default_factory=list, description="One an offending field or file")


class ProblemError(RectoError):
    """A refusal that only HTTP knows: no key, no scope, too large, too many."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        errors: list[dict[str, Any]] | None = None,
    ) -> None:
        """Say what, why, and what would do."""
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail
        self.headers, self.errors = dict(headers or {}), errors or []


class BodyError(HTTPException):
    """A body that cannot be taken; of Starlette's kind, since FastAPI hides every other while it reads one."""

    def __init__(self, problem: ProblemError) -> None:
        """Carry a problem through the reading of a body."""
        super().__init__(problem.status, problem.detail, problem.headers)
        self.problem = problem


_BY_CLASS: tuple[tuple[type[RectoError], int, str], ...] = (
    (NotFoundError, 404, "not-found"),
    (UsageError, 422, "usage"),
    (DocumentError, 422, "document"),
    (EngineError, 503, "engine"),
    (ModelError, 500, "model"),
    (FullDiskError, 507, "disk-full"),
    (StoreError, 500, "store"),
    (BusyError, 409, "busy"),
)  # a subclass stands before its parent


def as_problem(error: RectoError) -> ProblemError:
    """The refusal that an error of the library becomes."""
    if isinstance(error, ProblemError):
        return error
    for kind, status, code in _BY_CLASS:
        if isinstance(error, kind):
            shown = error.code if isinstance(error, DocumentError) else code
            waits = {"Retry-After": "5"} if status in (409, 503) else {}
            return ProblemError(status, shown, str(error), headers=waits)
    return ProblemError(500, "internal", str(error))


def response(problem: ProblemError, request_id: str = "") -> JSONResponse:
    """A problem as a response."""
    body = Problem(
        type=f"/problems/{problem.code}",
        title=HTTPStatus(problem.status).phrase,
        status=problem.status,
        detail=problem.detail,
        code=problem.code,
        request_id=request_id,
        errors=problem.errors,
    )
    return JSONResponse(body.model_dump(), problem.status, headers=problem.headers, media_type=MEDIA_TYPE)


def _of_starlette(error: HTTPException) -> ProblemError:
    if isinstance(error, BodyError):
        return error.problem
    code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
    return ProblemError(error.status_code, code, str(error.detail), headers=dict(error.headers or {}))


Page = Callable[[Request, ProblemError], Response]


def install(app: FastAPI, *, page: Page) -> None:
    """Answer every error of this application with a problem, or with a page where a person asked for one."""

    def handle(request: Request, error: Exception) -> Response:
        problem = _problem_of(error)
        if problem.status >= 500:
            log.error("a request failed: %s", type(error).__name__, exc_info=error, extra=_extra(request))
        return page(request, problem) if wants_page(request) else response(problem, _id(request))

    for kind in (RectoError, RequestValidationError, HTTPException, OSError):
        app.add_exception_handler(kind, handle)


def _problem_of(error: Exception) -> ProblemError:
    if isinstance(error, RectoError):
        return as_problem(error)
    if isinstance(error, HTTPException):
        return _of_starlette(error)
    if isinstance(error, RequestValidationError):
        return _of_validation(error)
    if is_full_disk(error):
        return as_problem(FullDiskError())
    raise error


def _of_validation(error: RequestValidationError) -> ProblemError:
    fields = [{"field": _field(e["loc"]), "message": e["msg"]} for e in error.errors()]
    first = fields[0] if fields else {"field": "the request", "message": "is not valid"}
    return ProblemError(422, "invalid", f"{first['field']}: {first['message']}", errors=fields)


def wants_page(request: Request) -> bool:
    """Whether a person with a browser asked: for a page, outside the API."""
    api = request.url.path.startswith(("/v1", "/mcp"))
    return not api and "text/html" in request.headers.get("accept", "")


GATE = (401, 403, 413, 421, 422, 429)  # what the gate and the checks of a request may answer anywhere


def described(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What the OpenAPI says of these statuses."""
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: schema}}
        for status in statuses
    }


def _id(request: Request) -> str:
    return str(request.scope.get("state", {}).get("request_id", ""))


def _extra(request: Request) -> dict[str, str]:
    return {"request_id": _id(request)}


def _field(place: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in place if part != "body") or "body"
