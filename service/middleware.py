"""Around every request: an id, a log line, safe headers; and the gate that says who may come in."""

import logging
import re
import uuid
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import quote, urlsplit

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from domain.errors import RectoError
from service.access import LOCAL, Caller
from service.keys import KeyRing
from service.limits import Rates
from service.metrics import Metrics, Stopwatch
from service.problems import BodyError, ProblemError, as_problem, response, wants_page
from service.settings import ServiceSettings, is_loopback
from service.web.render import problem_page

COOKIE = "recto_key"
CSP = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
_SAFE_HEADERS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",  # under no-referrer, browsers send forms with `Origin: null`
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cache-control": "no-cache",
}
_PUBLIC = ("/healthz", "/readyz", "/sign-in", "/static/")
_FREE = ("/healthz", "/readyz", "/static/", "/metrics")
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
log = logging.getLogger("service.requests")


class Envelope:
    """Gives each request an id, times and logs it under its route's template, and adds safe headers."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        """Wrap an application."""
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        watch, status = Stopwatch(), 0

        async def dressed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = request_id
                for name, value in _SAFE_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, receive, dressed)
        except Exception:
            log.exception("a request failed", extra={"request_id": request_id})
            if status == 0:
                failed = ProblemError(500, "internal", "an error of the service; its log has the request id")
                await response(failed, request_id)(scope, receive, dressed)
        finally:
            self._note(scope, status, watch.seconds)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route = _template(scope)
        self._metrics.request(scope["method"], route, status, seconds)
        extra = {
            "request_id": scope["state"]["request_id"],
            "route": route,
            "status": status,
            "ms": round(seconds * 1000, 1),
            "caller": getattr(scope["state"].get("caller"), "name", "-"),
        }
        log.info("%s %s %s %.1f ms", scope["method"], route, status, seconds * 1000, extra=extra)


class Gate:
    """Lets in who holds a key, or this machine's own user while there are none, and holds them to limits."""

    def __init__(self, app: ASGIApp, *, ring: KeyRing, settings: ServiceSettings) -> None:
        """Guard an application."""
        self._app, self._ring, self._settings = app, ring, settings
        self._rates = Rates(settings.requests_per_s, settings.burst)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            self._admit(scope)
            limit = self._limit(scope)
            _declared(scope, limit)
        except RectoError as error:
            await self._refuse(as_problem(error), scope)(scope, receive, send)
            return
        await self._app(scope, _Body(receive, limit, self._settings.body_idle_s).receive, send)

    def _admit(self, scope: Scope) -> None:
        headers, path = Headers(scope=scope), scope["path"]
        _same_origin(scope["method"], headers)
        keys = self._ring.keys()
        if not keys:
            self._known_host(headers)
        caller = self._holder(headers) if keys or not self._settings.loopback else LOCAL
        peer = scope.get("client") or ("unknown", 0)
        if not path.startswith(_FREE):
            self._rates.take(caller.name if caller and caller is not LOCAL else str(peer[0]))
        if caller is None and not path.startswith(_PUBLIC):
            raise ProblemError(
                401,
                "unauthorized",
                "give a key as `Authorization: Bearer recto_...`; `recto keys create` makes one",
                headers={"WWW-Authenticate": "Bearer"},
            )
        scope.setdefault("state", {})["caller"] = caller

    def _holder(self, headers: Headers) -> Caller | None:
        kind, _, token = headers.get("authorization", "").partition(" ")
        text = token.strip() if kind.lower() == "bearer" else headers.get("x-api-key") or _cookie(headers)
        key = self._ring.find(text) if text else None
        return Caller.of(key) if key else None

    def _known_host(self, headers: Headers) -> None:
        """While no keys exist, a page elsewhere must not reach this service under a name of its own."""
        host = headers.get("host", "")
        name = urlsplit(f"//{host}").hostname or ""
        if not is_loopback(name) and name not in (self._settings.host, *self._settings.hosts):
            raise ProblemError(421, "misdirected", f"this service does not answer to the name {host!r}")

    def _limit(self, scope: Scope) -> int:
        upload = scope["method"] == "POST" and scope["path"].endswith(("/documents", "/upload"))
        return self._settings.max_upload_bytes if upload else self._settings.max_body_bytes

    def _refuse(self, problem: ProblemError, scope: Scope) -> Response:
        request = Request(scope)
        if problem.status == 401 and wants_page(request) and scope["method"] == "GET":
            return RedirectResponse(f"/sign-in?to={quote(scope['path'])}", 303)
        if wants_page(request):
            return problem_page(request, problem)
        return response(problem, scope.get("state", {}).get("request_id", ""))


class _Body:
    """A request's body, counted: too much of it, or none for too long, ends the request."""

    def __init__(self, receive: Receive, limit: int, idle_s: float) -> None:
        self._receive, self._limit, self._idle_s = receive, limit, idle_s
        self._seen, self._ended = 0, False

    async def receive(self) -> Message:
        if self._ended:  # what follows is the wait for the client's going away
            return await self._receive()
        try:
            with anyio.fail_after(self._idle_s):
                message = await self._receive()
        except TimeoutError as error:
            idle = ProblemError(408, "timeout", f"no byte of the body came for {self._idle_s:g} s")
            raise BodyError(idle) from error
        self._seen += len(message.get("body", b""))
        self._ended = not message.get("more_body", False)
        if self._seen > self._limit:
            raise BodyError(_too_large(self._limit))
        return message


def _declared(scope: Scope, limit: int) -> None:
    length = Headers(scope=scope).get("content-length", "0")
    if length.isdecimal() and int(length) > limit:
        raise _too_large(limit)


def _too_large(limit: int) -> ProblemError:
    return ProblemError(413, "too-large", f"the request is larger than {limit} bytes; send less at once")


def _same_origin(method: str, headers: Headers) -> None:
    """A page of another origin must not change anything with this browser's rights."""
    if method in _SAFE_METHODS:
        return
    origin = headers.get("origin")
    foreign = origin is not None and urlsplit(origin).netloc != headers.get("host", "")
    if foreign or headers.get("sec-fetch-site") == "cross-site":
        raise ProblemError(403, "cross-origin", "a page of another origin may not change this library")


def _cookie(headers: Headers) -> str:
    jar: SimpleCookie = SimpleCookie()
    try:
        jar.load(headers.get("cookie", ""))
    except CookieError:
        return ""
    return jar[COOKIE].value if COOKIE in jar else ""


def _template(scope: Scope) -> str:
    route: Any = scope.get("route")
    return str(getattr(route, "path", None) or "other")
