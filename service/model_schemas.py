"""The shapes of others, for reranking and embedding: Jina's, Cohere's and vLLM's, and OpenAI's."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.schemas import In, Out, Text


class RerankDocument(In):
    """A document to be scored: text, or an image as a data URI or base64."""

    text: str | None = Field(default=None, max_length=100_000)
    image: str | None = Field(default=None, description="`data:image/...;base64,...` or base64; never a URL")


class RerankIn(BaseModel):
    """The shape of Jina, Cohere and vLLM; fields of theirs that mean nothing here are ignored."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"query": "net sales", "documents": ["Net sales rose.", "The board met."], "top_n": 1}
            ]
        }
    )
    query: Text
    documents: list[str | RerankDocument] = Field(min_length=1, max_length=1000)
    model: str | None = Field(default=None, max_length=200)
    top_n: int | None = Field(default=None, ge=1, description="Return only the best n")
    return_documents: bool = False


class RerankResult(Out):
    """One document's place; `index` is its position in the request, the score lies in [0, 1]."""

    index: int
    relevance_score: float
    document: dict[str, Any] | None = None


class RerankOut(Out):
    """Documents by falling relevance."""

    id: str
    model: str
    results: list[RerankResult]
    usage: dict[str, int]


class EmbeddingsIn(BaseModel):
    """OpenAI's shape; fields of theirs that mean nothing here are ignored."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"input": ["net sales 2023"]}]})
    input: Text | Annotated[list[Text | RerankDocument], Field(min_length=1, max_length=256)]
    model: str | None = Field(default=None, max_length=200)
    encoding_format: Literal["float", "base64"] = "float"
    pooling: Literal["mean", "none"] = Field(
        default="mean",
        description="`mean`: one unit vector an input; `none`: all of its vectors",
    )


class EmbeddingOut(Out):
    """One input's vector, or with pooling `none` its vectors; base64 holds little-endian float32."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | list[list[float]] | str


class EmbeddingsOut(Out):
    """Embeddings in the order of the inputs."""

    object: Literal["list"] = "list"
    model: str
    data: list[EmbeddingOut]
    usage: dict[str, int]


class ModelOut(Out):
    """A model that this service runs."""

    id: str
    object: Literal["model"] = "model"
    owned_by: str = "recto"
    role: Literal["encoder", "reranker"]
    created: int = 0


class ModelList(Out):
    """The models that this service runs."""

    object: Literal["list"] = "list"
    data: list[ModelOut]
