"""Talks to a model behind HTTP: retries with backoff, a timeout, never too many calls at once."""

import base64
import io
import logging
import threading
import time
import urllib.parse
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
import tenacity
from PIL import Image

from domain.errors import EngineError
from domain.families import family_of
from domain.fingerprint import Fingerprint
from domain.model import ModelSettings

_log = logging.getLogger(__name__)
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_LONGEST_WAIT_S = 20.0
_PAUSE_S = 5.0

Item = TypeVar("Item")
Out = TypeVar("Out")


@dataclass(frozen=True, slots=True)
class Address:
    """Where an engine is and which of its models is meant.

    Attributes:
        name: what the user wrote, such as `vllm:http://host:8000/ORG/NAME`.
        kind: the part before the first colon: the shape of its requests.
        url: scheme, host, port, and a path before `#` where one was given.
        model: the model's name at the engine.
    """

    name: str
    kind: str
    url: str
    model: str


def address(name: str) -> Address:
    """Read `KIND:URL/MODEL`, or `KIND:URL/PATH#MODEL` where the engine lives under a path.

    Raises:
        EngineError: it is not such a name; says how to write one.
    """
    kind, _, rest = name.partition(":")
    parts = urllib.parse.urlsplit(rest)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise EngineError(f"{name!r} names no engine; write {kind or 'vllm'}:http://HOST:PORT/MODEL")
    if parts.username or parts.password:
        raise EngineError(f"{kind}:{parts.hostname}: keep credentials out of the address; give an API key")
    base = f"{parts.scheme}://{parts.netloc}"
    if parts.fragment:
        base, model = base + parts.path.rstrip("/"), parts.fragment
    else:
        model = parts.path.strip("/")
    if not model:
        raise EngineError(f"{name!r} names no model; write {kind}:{base}/MODEL, or {kind}:{base}/PATH#MODEL")
    return Address(name, kind, base, model)


class _BusyError(Exception):
    """An answer that may be different the next time."""

    def __init__(self, message: str, wait_s: float = 0.0) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class Engine:
    """One remote model. Safe to call from several threads; they share the bound on calls at once."""

    def __init__(self, where: Address, settings: ModelSettings) -> None:
        """Nothing is sent before the first call."""
        self.address = where
        self._settings = settings
        headers = {"Authorization": f"Bearer {settings.api_key}"} if settings.api_key else {}
        self._client = httpx.Client(timeout=settings.timeout_s, headers=headers, follow_redirects=False)
        self._closing = weakref.finalize(self, self._client.close)
        self._down_until = 0.0
        self._slots = threading.BoundedSemaphore(settings.concurrency)

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Send a request until it is answered, or its retries are spent.

        A call that timed out is not repeated: the engine is still at work on it. After a call was given up,
        further ones are refused at once for a few seconds, so that a search does not wait for a dead engine.

        Raises:
            EngineError: no answer in time, or one that says no; names engine, address and reason.
        """
        if time.monotonic() < self._down_until:
            raise self.error("it failed a moment ago; not asked again yet")
        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_may_pass),
            stop=tenacity.stop_after_attempt(self._settings.retries + 1),
            wait=_wait,
            reraise=True,
        )
        try:
            return attempts(self._once, path, body)
        except _BusyError as error:
            self._down_until = time.monotonic() + _PAUSE_S
            raise self.error(f"{error} ({self._settings.retries + 1} attempts)") from error
        except httpx.TimeoutException as error:
            self._down_until = time.monotonic() + _PAUSE_S
            raise self.error(f"no answer within {self._settings.timeout_s:g} s") from error
        except httpx.TransportError as error:
            self._down_until = time.monotonic() + _PAUSE_S
            attempted = f"{type(error).__name__}, {self._settings.retries + 1} attempts"
            raise self.error(f"no connection ({attempted})") from error

    def each(self, function: Callable[[Item], Out], items: Sequence[Item]) -> list[Out]:
        """Apply a function that calls `post` to every item, several at a time, in the order of the items."""
        if len(items) < 2:
            return [function(item) for item in items]
        with ThreadPoolExecutor(max_workers=min(self._settings.concurrency, len(items))) as pool:
            return list(pool.map(function, items))

    def error(self, reason: str) -> EngineError:
        """The error that names this engine."""
        return EngineError(
            f"engine {self.address.kind} at {self.address.url} ({self.address.model}): {reason}"
        )

    def close(self) -> None:
        """Close its connections; an engine that nobody holds any more does so by itself."""
        self._closing()

    def _once(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        with self._slots:
            answer = self._client.post(self.address.url + path, json=body)
        if answer.status_code in _TRANSIENT:
            raise _BusyError(f"HTTP {answer.status_code} on {path}: {_reason(answer)}", _seconds(answer))
        if answer.status_code != httpx.codes.OK:
            hint = {401: "; check the API key", 403: "; check the API key", 404: "; check path and model"}
            raise self.error(
                f"HTTP {answer.status_code} on {path}: {_reason(answer)}{hint.get(answer.status_code, '')}"
            )
        try:
            found = answer.json()
        except ValueError as error:
            raise self.error(f"{path} did not answer with JSON; is this the right address?") from error
        if not isinstance(found, dict):
            raise self.error(f"{path} answered with {type(found).__name__} instead of a JSON object")
        return found


def engine_of(name: str, settings: ModelSettings, *, role: str, kinds: Iterable[str]) -> Engine:
    """The engine that a name means, if it speaks one of the shapes that this role knows; nothing is sent yet.

    Args:
        name: as `address` reads it.
        settings: API key, timeout, retries, calls at once.
        role: `encoders` or `rerankers`, for the message.
        kinds: the shapes that it may have.

    Raises:
        EngineError: it names no engine, or one of another shape.
    """
    where = address(name)
    if where.kind not in kinds:
        raise EngineError(f"{name!r}: {role} speak {', '.join(kinds)}, not {where.kind}")
    return Engine(where, settings)


def remote_fingerprint(engine: Engine, settings: ModelSettings, *, pooling: str) -> Fingerprint:
    """What made vectors or scores, as far as an engine tells; its host does not matter."""
    return Fingerprint(
        model=f"{engine.address.kind}:{engine.address.model}",
        revision=settings.revision,
        max_visual_tokens=settings.max_visual_tokens,
        pooling=pooling,
        dtype="remote",
    )


def data_uri(image: Image.Image, model: str, max_tokens: int | None) -> str:
    """A page as a PNG data URI, no larger than the token budget makes it at the engine.

    Args:
        image: the page.
        model: the engine's model; the table of families gives the size of its tokens, else 28 px.
        max_tokens: visual tokens a page; None sends the page as it is.
    """
    page = image.convert("RGB")
    if max_tokens is not None:
        family = family_of(model)
        largest = max_tokens * (family.token_px if family and family.token_px else 28) ** 2
        if page.width * page.height > largest:
            share = (largest / (page.width * page.height)) ** 0.5
            size = (max(1, int(page.width * share)), max(1, int(page.height * share)))
            page = page.resize(size, Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    page.save(buffer, "PNG", compress_level=1)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, _BusyError | httpx.TransportError) and not isinstance(
        error, httpx.TimeoutException
    )


def _wait(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.wait_s if isinstance(error, _BusyError) else 0.0
    backoff = tenacity.wait_random_exponential(multiplier=0.2, max=5.0)(state)
    _log.warning("a call to an engine failed (%s); trying again", type(error).__name__)
    return min(max(asked, backoff), _LONGEST_WAIT_S)


def _seconds(answer: httpx.Response) -> float:
    """What `Retry-After` asks for, in seconds; 0 where it asks for nothing or names a date."""
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isdecimal() else 0.0


def _reason(answer: httpx.Response) -> str:
    """The engine's own words, cut short."""
    try:
        found = answer.json()
    except ValueError:
        return answer.text[:200] or answer.reason_phrase
    if isinstance(found, dict):
        for key in ("detail", "message", "error"):
            inner = found.get(key)
            text = inner.get("message") if isinstance(inner, dict) else inner
            if text:
                return str(text)[:200]
    return answer.reason_phrase
