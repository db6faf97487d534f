"""Rerankers behind HTTP: vLLM's `/v1/rerank` and `/score`, and the shapes of Jina and Cohere."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from PIL import Image

from backbone import probe
from backbone.engine import Address, Engine, data_uri, engine_of, remote_fingerprint
from domain.errors import EngineError
from domain.fingerprint import Fingerprint
from domain.model import ModelSettings
from rerank.reranker import Candidate

_GROUP = 8
_SMALLEST = 1e-7


def load(name: str, *, settings: ModelSettings) -> "RemoteReranker":
    """Connect to an engine and see whether it orders two pairs that anyone would order.

    Args:
        name: `vllm:`, `score:`, `jina:` or `cohere:` before `http://HOST:PORT/MODEL`.
        settings: API key, timeout, retries, calls at once, token budget, what of a page it is shown.

    Raises:
        EngineError: it does not answer, or orders them wrongly; names the engine and the reason.
    """
    engine = engine_of(name, settings, role="rerankers", kinds=_SHAPES)
    if settings.reads == "image+text" and engine.address.kind in ("vllm", "score"):
        raise EngineError(f"{name!r}: vLLM takes a page's image or its text, not both; set reads to one")
    reranker = RemoteReranker(engine, settings)
    reranker.connect()
    return reranker


class RemoteReranker:
    """An engine's relevance scores as logits."""

    def __init__(self, engine: Engine, settings: ModelSettings) -> None:
        """Call `connect` before use."""
        self._engine = engine
        self._settings = settings
        self._probabilities = True

    def connect(self) -> None:
        """Learn whether its scores are probabilities or logits, and refuse one that orders wrongly.

        Raises:
            EngineError: it does not answer, or orders two known pairs wrongly.
        """
        shown = [
            _probed(number, image, text)
            for number, (image, text) in enumerate(zip(probe.pages(), probe.texts(), strict=True), start=1)
        ]
        raw = [self._asked(pair.question, shown) for pair in probe.PAIRS]
        self._probabilities = all(0 <= score <= 1 for scores in raw for score in scores)
        problem = probe.complaint(raw) if self._settings.probe else ""
        if problem:
            raise self._engine.error(problem)

    @property
    def name(self) -> str:
        """The name under which the user chose it."""
        return self._engine.address.name

    @property
    def fingerprint(self) -> Fingerprint:
        """What made the scores, as far as an engine tells; its host does not matter."""
        return remote_fingerprint(self._engine, self._settings, pooling=self._settings.reads)

    def scores(self, query: str, candidates: Sequence[Candidate]) -> list[float]:
        """Logits, one a candidate, in order, asked for in groups, several at a time.

        Raises:
            EngineError: the engine failed, or a score is missing or not finite; names engine and page.
        """
        groups = [candidates[i : i + _GROUP] for i in range(0, len(candidates), _GROUP)]
        found = self._engine.each(lambda group: self._asked(query, group), groups)
        pairs = zip(candidates, (score for group in found for score in group), strict=True)
        return [self._logit(score, candidate) for candidate, score in pairs]

    def probability(self, score: float) -> float:
        """What the model itself says the chance of relevance is: the logistic function of its logit."""
        return 1 / (1 + math.exp(-score)) if score >= 0 else math.exp(score) / (1 + math.exp(score))

    def _asked(self, query: str, candidates: Sequence[Candidate]) -> list[float]:
        if not candidates:
            return []
        where = self._engine.address
        documents = [self._document(candidate) for candidate in candidates]
        path, body = _SHAPES[where.kind](where, query, documents)
        return self._read(self._engine.post(path, body), len(candidates))

    def _document(self, candidate: Candidate) -> dict[str, str]:
        settings = self._settings
        document: dict[str, str] = {}
        if "image" in settings.reads:
            model, most = self._engine.address.model, settings.max_visual_tokens
            document["image"] = data_uri(candidate.image(), model, most)
        if "text" in settings.reads:
            document["text"] = candidate.text()
        return document

    def _read(self, found: Mapping[str, Any], count: int) -> list[float]:
        """The scores in the order of the documents, from either shape of answer."""
        rows = found.get("results", found.get("data"))
        scores: dict[int, float] = {}
        for row in rows if isinstance(rows, list) else ():
            index = row.get("index") if isinstance(row, dict) else None
            score = row.get("relevance_score", row.get("score")) if isinstance(row, dict) else None
            if isinstance(index, int) and isinstance(score, int | float):
                scores[index] = float(score)
        if sorted(scores) != list(range(count)):
            raise self._engine.error(
                f"it scored {sorted(scores)} of {count} documents; each must be scored once"
            )
        return [scores[index] for index in range(count)]

    def _logit(self, score: float, candidate: Candidate) -> float:
        if not math.isfinite(score):
            raise self._engine.error(f"it scored page {candidate.page} with {score}")
        if not self._probabilities:
            return score
        if not 0 <= score <= 1:
            raise self._engine.error(
                f"it scored page {candidate.page} with {score}, after probabilities before"
            )
        bounded = min(max(score, _SMALLEST), 1 - _SMALLEST)
        return math.log(bounded / (1 - bounded))


def _probed(number: int, image: Image.Image, text: str) -> Candidate:
    return Candidate(f"probe/{number:04d}", lambda: image, lambda: text, lambda: None)


Shape = Callable[[Address, str, Sequence[Mapping[str, str]]], tuple[str, dict[str, Any]]]


def _vllm(where: Address, query: str, documents: Sequence[Mapping[str, str]]) -> tuple[str, dict[str, Any]]:
    body = {"model": where.model, "query": query, "documents": _parts(documents), "top_n": len(documents)}
    return "/v1/rerank", body


def _score(where: Address, query: str, documents: Sequence[Mapping[str, str]]) -> tuple[str, dict[str, Any]]:
    return "/score", {"model": where.model, "text_1": query, "text_2": _parts(documents)}


def _jina(where: Address, query: str, documents: Sequence[Mapping[str, str]]) -> tuple[str, dict[str, Any]]:
    shown = [dict(document) for document in documents]
    body = {"model": where.model, "query": query, "documents": shown, "top_n": len(shown)}
    return "/v1/rerank", {**body, "return_documents": False}


def _cohere(where: Address, query: str, documents: Sequence[Mapping[str, str]]) -> tuple[str, dict[str, Any]]:
    shown = [d if "image" in d else d["text"] for d in map(dict, documents)]
    return "/v2/rerank", {"model": where.model, "query": query, "documents": shown, "top_n": len(shown)}


def _parts(documents: Sequence[Mapping[str, str]]) -> Any:
    """Documents for vLLM: plain texts, or one content part an image; there is no place for both."""
    if all("image" not in document for document in documents):
        return [document["text"] for document in documents]
    return {"content": [{"type": "image_url", "image_url": {"url": d["image"]}} for d in documents]}


_SHAPES: Mapping[str, Shape] = {"vllm": _vllm, "score": _score, "jina": _jina, "cohere": _cohere}
