"""A small engine behind real HTTP, in the shapes of vLLM, Jina, Cohere and OpenAI, with their errors.

It knows the probe's pages by their pixels and any other page by its mean colour; a text is its bag of words.
"""

import base64
import io
import json
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
from PIL import Image, ImageStat

from backbone import probe

WIDTH = 64
_COLOURS = ("red", "green", "blue")


@dataclass
class Fake:
    """What the engine does next, and what it saw.

    Attributes:
        url: its address.
        failures: status codes to answer with, one a request, before it works.
        delay_s: how long it thinks.
        alter: changes an answer before it is sent.
        wrong: it scores without looking, as behind a wrong template.
        key: the API key that it asks for.
        seen: paths and bodies of the requests, in order.
        most: how many requests it had at once at most.
    """

    url: str = ""
    failures: list[int] = field(default_factory=list)
    delay_s: float = 0.0
    alter: Callable[[dict[str, Any]], Any] = lambda answer: answer
    wrong: bool = False
    logits: bool = False
    retry_after: str = ""
    key: str = ""
    seen: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    most: int = 0
    _now: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)


@contextmanager
def engine(**behaviour: Any) -> Iterator[Fake]:
    """Run a fake engine on a free port of this machine."""
    fake = Fake(**behaviour)
    handler = type("Handler", (_Handler,), {"fake": fake})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    fake.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    fake: Fake
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        fake = self.fake
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with fake._lock:
            fake._now += 1
            fake.most = max(fake.most, fake._now)
            fake.seen.append((self.path, body))
            failure = fake.failures.pop(0) if fake.failures else 0
        time.sleep(fake.delay_s)
        try:
            self._answer(*self._decide(body, failure))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            with fake._lock:
                fake._now -= 1

    def _decide(self, body: dict[str, Any], failure: int) -> tuple[int, Any]:
        if failure:
            return failure, {"error": {"message": f"told to answer {failure}"}}
        if self.fake.key and self.headers.get("Authorization") != f"Bearer {self.fake.key}":
            return 401, {"detail": "no such key"}
        routes = {
            "/pooling": _pooling, "/v1/embeddings": _embeddings, "/score": _score,
            "/v1/rerank": _rerank, "/v2/rerank": _rerank, "/api/v1/rerank": _rerank,
        }  # fmt: skip
        if self.path not in routes:
            return 404, {"detail": "Not Found"}
        return 200, self.fake.alter(routes[self.path](body, self.fake))

    def _answer(self, status: int, found: Any) -> None:
        data = found if isinstance(found, bytes) else json.dumps(found).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        if self.fake.retry_after and status != 200:
            self.send_header("Retry-After", self.fake.retry_after)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_arguments: Any) -> None:
        """Keep the tests' output clean."""


def _words(text: str) -> np.ndarray:
    vector = np.full(WIDTH, 0.01)
    for word in text.lower().replace("?", " ").replace(":", " ").split():
        vector[sum(map(ord, word)) % WIDTH] += 1
    return vector / np.linalg.norm(vector)


def _seen_text(uri: str) -> str:
    image = Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB")
    for page, text in zip(probe.pages(), probe.texts(), strict=True):
        if image.resize(page.size).tobytes() == page.tobytes():
            return text
    return _COLOURS[int(np.argmax(ImageStat.Stat(image).mean))]


def _part(part: dict[str, Any] | str) -> str:
    if isinstance(part, str):
        return part
    if "image_url" in part:
        return _seen_text(part["image_url"]["url"])
    shown = _seen_text(part["image"]) if "image" in part else ""
    return f"{shown} {part.get('text', '')}"


def _embedded(body: dict[str, Any], fake: Fake) -> list[np.ndarray]:
    if fake.wrong:
        return [np.ones(WIDTH)]
    texts = body["input"] if "input" in body else [_part(p) for p in body["messages"][0]["content"]]
    return [_words(text) for text in texts]


def _pooling(body: dict[str, Any], fake: Fake) -> dict[str, Any]:
    rows = [[*(vector * 2).tolist()] for vector in _embedded(body, fake)] * 3
    return {"object": "list", "data": [{"index": 0, "object": "pooling", "data": rows}]}


def _embeddings(body: dict[str, Any], fake: Fake) -> dict[str, Any]:
    return {"data": [{"index": i, "embedding": v.tolist()} for i, v in enumerate(_embedded(body, fake))]}


def _scores(query: str, documents: Any, fake: Fake) -> list[float]:
    parts = documents["content"] if isinstance(documents, dict) else documents
    raw = [0.0 if fake.wrong else 8 * float(_words(query) @ _words(_part(p))) - 4 for p in parts]
    return raw if fake.logits else [1 / (1 + math.exp(-score)) for score in raw]


def _rerank(body: dict[str, Any], fake: Fake) -> dict[str, Any]:
    scores = _scores(body["query"], body["documents"], fake)
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    return {"results": [{"index": i, "relevance_score": scores[i]} for i in order]}


def _score(body: dict[str, Any], fake: Fake) -> dict[str, Any]:
    scores = _scores(body["text_1"], body["text_2"], fake)
    return {"data": [{"index": i, "object": "score", "score": score} for i, score in enumerate(scores)]}
