"""The models by themselves, in shapes that clients of others already speak."""

import base64
import math
import uuid
from typing import Any

import numpy as np
from fastapi import APIRouter
from numpy.typing import NDArray

from domain.errors import UsageError
from rerank.reranker import Candidate
from retrieve.encoder import Vectors
from service.desk import Desk, DeskNow, ViewNow
from service.model_schemas import (
    EmbeddingOut,
    EmbeddingsIn,
    EmbeddingsOut,
    ModelList,
    ModelOut,
    RerankDocument,
    RerankIn,
    RerankOut,
    RerankResult,
)
from service.pictures import candidate, picture
from service.problems import GATE, described

router = APIRouter(prefix="/v1", tags=["models"], responses=described(*GATE, 503))


@router.get("/models", summary="List the models")
def models(desk: DeskNow, view: ViewNow) -> ModelList:
    """The encoder and the reranker that this service runs."""
    view.caller.need("read")
    found = [ModelOut(id=desk.library.encoder.name, role="encoder")]
    if desk.library.reranker is not None:
        found.append(ModelOut(id=desk.library.reranker.name, role="reranker"))
    return ModelList(data=found)


@router.post("/rerank", summary="Score documents against a query")
async def rerank(asked: RerankIn, desk: DeskNow, view: ViewNow) -> RerankOut:
    """The shape of Jina, Cohere and vLLM. A text is drawn as a page first: the reranker reads pages."""
    view.caller.need("read")
    return await desk.engine.run(lambda: _rerank(desk, asked))


def _rerank(desk: Desk, asked: RerankIn) -> RerankOut:
    reranker = desk.library.reranker
    if reranker is None:
        raise UsageError("this library has no reranker; set `reranker` in its settings")
    _same(asked.model, reranker.name)
    documents = [RerankDocument(text=d) if isinstance(d, str) else d for d in asked.documents]
    candidates: list[Candidate] = [
        candidate(document, desk.library.encoder, number) for number, document in enumerate(documents)
    ]
    scores = reranker.scores(asked.query, candidates)
    order = sorted(range(len(scores)), key=lambda i: (-scores[i], i))[: asked.top_n]
    results = [
        RerankResult(
            index=index,
            relevance_score=_sigmoid(scores[index]),
            document=_echo(documents[index]) if asked.return_documents else None,
        )
        for index in order
    ]
    usage = {"total_tokens": len(asked.query.split()) * len(documents)}
    return RerankOut(id=f"rerank-{uuid.uuid4().hex}", model=reranker.name, results=results, usage=usage)


@router.post("/embeddings", summary="Embed queries or page images")
async def embeddings(asked: EmbeddingsIn, desk: DeskNow, view: ViewNow) -> EmbeddingsOut:
    """OpenAI's shape. A text is embedded as a query; an image object as a page."""
    view.caller.need("read")
    return await desk.engine.run(lambda: _embeddings(desk, asked))


def _embeddings(desk: Desk, asked: EmbeddingsIn) -> EmbeddingsOut:
    encoder = desk.library.encoder
    _same(asked.model, encoder.name)
    inputs = [asked.input] if isinstance(asked.input, str) else asked.input
    vectors = [_embedded(desk, item) for item in inputs]
    data = [EmbeddingOut(index=index, embedding=_shaped(found, asked)) for index, found in enumerate(vectors)]
    tokens = sum(len(found.rows) for found in vectors)
    return EmbeddingsOut(
        model=encoder.name, data=data, usage={"prompt_tokens": tokens, "total_tokens": tokens}
    )


def _embedded(desk: Desk, item: str | RerankDocument) -> Vectors:
    encoder = desk.library.encoder
    if isinstance(item, str):
        return encoder.queries([item])[0]
    if item.image is not None:
        return encoder.pages([picture(item.image)])[0]
    return encoder.queries([item.text or ""])[0]


def _shaped(vectors: Vectors, asked: EmbeddingsIn) -> list[float] | list[list[float]] | str:
    rows = vectors.rows if asked.pooling == "none" else _mean(vectors)[None, :]
    if asked.encoding_format == "base64":
        return base64.b64encode(np.ascontiguousarray(rows, dtype="<f4").tobytes()).decode()
    return (
        [[float(x) for x in row] for row in rows] if asked.pooling == "none" else [float(x) for x in rows[0]]
    )


def _mean(vectors: Vectors) -> NDArray[np.float32]:
    """The weighted mean of the rows, of unit length; zeros for a blank page."""
    if not len(vectors.rows):
        return np.zeros(vectors.rows.shape[1], np.float32)
    weights = vectors.weights if vectors.weights is not None else np.ones(len(vectors.rows), np.float32)
    mean = (vectors.rows * weights[:, None]).sum(axis=0)
    norm = float(np.linalg.norm(mean))
    unit: NDArray[np.float32] = (mean / norm if norm > 0 else mean).astype(np.float32)
    return unit


def _same(asked: str | None, name: str) -> None:
    if asked is not None and asked != name:
        raise UsageError(f"this service runs the model {name!r}, not {asked!r}; leave `model` out")


def _sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit)) if logit >= 0 else math.exp(logit) / (1 + math.exp(logit))


def _echo(document: RerankDocument) -> dict[str, Any]:
    return document.model_dump(exclude_none=True)
