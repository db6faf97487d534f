"""Encoders behind HTTP: vLLM's `/pooling` and OpenAI-shaped `/v1/embeddings`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from backbone import probe
from backbone.engine import Engine, data_uri, engine_of, remote_fingerprint
from domain.fingerprint import Fingerprint
from domain.model import ModelSettings
from retrieve.encoder import Floats, Vectors

KINDS = ("vllm", "openai")


def load(name: str, *, settings: ModelSettings) -> "RemoteEncoder":
    """Connect to an engine and see whether it finds two pages that anyone would find.

    Args:
        name: `vllm:http://HOST:PORT/MODEL` or `openai:http://HOST:PORT/MODEL`.
        settings: API key, timeout, retries, calls at once, token budget.

    Raises:
        EngineError: it does not answer, or ranks wrongly; names the engine and the reason.
    """
    encoder = RemoteEncoder(engine_of(name, settings, role="encoders", kinds=KINDS), settings)
    encoder.connect()
    return encoder


class RemoteEncoder:
    """An engine's embeddings as vectors of unit length."""

    def __init__(self, engine: Engine, settings: ModelSettings) -> None:
        """Call `connect` before use."""
        self._engine = engine
        self._settings = settings
        self._dim = 0
        self._late = False

    def connect(self) -> None:
        """Learn the width of its vectors, and refuse an engine that ranks two known pairs wrongly.

        Raises:
            EngineError: it does not answer, or ranks wrongly.
        """
        questions = self.queries([pair.question for pair in probe.PAIRS])
        self._dim = questions[0].rows.shape[1]
        self._late = len(questions[0].rows) > 1
        if not self._settings.probe:
            return
        pages = self.pages(probe.pages())
        scores = [[float((q.rows @ p.rows.T).max(axis=1).sum()) for p in pages] for q in questions]
        problem = probe.complaint(scores)
        if problem:
            raise self._engine.error(problem)

    @property
    def name(self) -> str:
        """The name under which the user chose it."""
        return self._engine.address.name

    @property
    def dim(self) -> int:
        """The width of every vector."""
        return self._dim

    @property
    def fingerprint(self) -> Fingerprint:
        """What made the vectors, as far as an engine tells; its host does not matter."""
        return remote_fingerprint(self._engine, self._settings, pooling="none" if self._late else "single")

    def pages(self, images: Sequence[Image.Image]) -> list[Vectors]:
        """Embed page images, in order, several requests at a time.

        Raises:
            EngineError: the engine failed or answered with nonsense.
        """
        return self._engine.each(self._page, images)

    def queries(self, texts: Sequence[str]) -> list[Vectors]:
        """Embed query texts, in order; the engine gets them as text parts, never as addresses.

        Raises:
            EngineError: the engine failed or answered with nonsense.
        """
        return self._engine.each(self._query, texts)

    def _page(self, image: Image.Image) -> Vectors:
        uri = data_uri(image, self._engine.address.model, self._settings.max_visual_tokens)
        return self._embed({"type": "image_url", "image_url": {"url": uri}})

    def _query(self, text: str) -> Vectors:
        return self._embed({"type": "text", "text": text})

    def _embed(self, part: dict[str, Any]) -> Vectors:
        body: dict[str, Any] = {"model": self._engine.address.model, "encoding_format": "float"}
        if self._engine.address.kind == "openai" and part["type"] == "text":
            body["input"] = [part["text"]]
        else:
            body["messages"] = [{"role": "user", "content": [part]}]
        if self._engine.address.kind == "openai":
            return Vectors(self._rows(self._engine.post("/v1/embeddings", body), "embedding"))
        return Vectors(self._rows(self._engine.post("/pooling", {**body, "task": "token_embed"}), "data"))

    def _rows(self, found: dict[str, Any], key: str) -> Floats:
        data = found.get("data")
        if (
            not isinstance(data, list)
            or len(data) != 1
            or not isinstance(data[0], dict)
            or key not in data[0]
        ):
            raise self._engine.error(f"its answer holds no single data[0].{key}")
        try:
            table = np.asarray(data[0][key], dtype=np.float32)
        except (TypeError, ValueError) as error:
            raise self._engine.error(f"its data[0].{key} is no table of numbers: {error}") from error
        rows: Floats = np.atleast_2d(table)
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        if rows.ndim != 2 or not rows.size or not np.isfinite(lengths).all() or (lengths == 0).any():
            raise self._engine.error(f"its vectors of shape {rows.shape} are empty, zero or not finite")
        if self._dim and rows.shape[1] != self._dim:
            raise self._engine.error(
                f"its vectors are {rows.shape[1]} wide and were {self._dim}; was it restarted?"
            )
        unit: Floats = rows / lengths
        return unit
