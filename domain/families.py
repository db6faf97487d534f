"""Model families of the field: what they are, what they cost, and what their authors published."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Role = Literal["encoder", "reranker"]
Vectors = Literal["late interaction", "single vector", "score"]
Order = Literal["", "query first", "page first"]

_LEADERBOARD = "ViDoRe v3 leaderboard in mteb, nDCG@10, November 2026"
_QWEN = "Qwen3-VL-Embedding technical report, 2026: ViDoRe v3 nDCG@10 over its own first stage of 52.9"


@dataclass(frozen=True, slots=True)
class Family:
    """A checkpoint of the field.

    Attributes:
        checkpoint: `ORG/NAME`; write `st:ORG/NAME` to choose it.
        role: encoder or reranker.
        kind: what it gives for a page or a pair.
        licence: of the weights, the backbone's where that is stricter.
        dim: width of a vector; 0 for a reranker.
        token_px: the side of one visual token in pixels; 0 where pages have a fixed size.
        architecture: the model type in transformers whose loading is tested here, on a tiny checkpoint.
        published: ViDoRe v3 nDCG@10 as its source gives it, None where we know of none.
        source: where the figure stands.
        revision: the commit that we pin; empty where none was tried on this project's machines.
        remark: what a person must know before choosing it.
        tokens: visual tokens a page that it was trained with; 0 where its authors name none.
        order: what its prompt shows first, for a reranker.
    """

    checkpoint: str
    role: Role
    kind: Vectors
    licence: str
    dim: int
    token_px: int
    architecture: str
    published: float | None = None
    source: str = ""
    revision: str = ""
    remark: str = ""
    tokens: int = 0
    order: Order = ""


_CONVERT = "convert it once: recto models convert SOURCE TARGET"
_ROWS = (
    Family("vidore/colqwen2-v1.0", "encoder", "late interaction", "Apache-2.0", 128, 28, "qwen2_vl",
           remark=_CONVERT, tokens=768),
    Family("vidore/colqwen2.5-v0.2", "encoder", "late interaction", "Qwen Research", 128, 28, "qwen2_5_vl",
           0.519, _LEADERBOARD, remark=_CONVERT, tokens=768),
    Family("vidore/colpali-v1.3-hf", "encoder", "late interaction", "Gemma", 128, 0, "colpali",
           0.430, _LEADERBOARD, remark="pages are always 448 x 448 px", tokens=1024),
    Family("ModernVBERT/colmodernvbert", "encoder", "late interaction", "MIT", 128, 0, "colmodernvbert",
           0.261, _LEADERBOARD, remark="250M parameters; the smallest"),
    Family("TomoroAI/tomoro-colqwen3-embed-4b", "encoder", "late interaction", "Apache-2.0", 320, 32,
           "qwen3_vl", remark="needs --trust-remote-code"),
    Family("nvidia/nemotron-colembed-vl-8b-v2", "encoder", "late interaction", "NVIDIA, non-commercial",
           4096, 32, "qwen3_vl", 0.634, _LEADERBOARD,
           remark="needs --trust-remote-code; wide vectors: 16 kB a token"),
    Family("Qwen/Qwen3-VL-Embedding-2B", "encoder", "single vector", "Apache-2.0", 2048, 32, "qwen3_vl",
           0.526, _LEADERBOARD),
    Family("Qwen/Qwen3-VL-Embedding-8B", "encoder", "single vector", "Apache-2.0", 4096, 32, "qwen3_vl"),
    Family("Qwen/Qwen3-VL-Reranker-2B", "reranker", "score", "Apache-2.0", 0, 32, "qwen3_vl", 0.608, _QWEN,
           remark="yes/no logits; query before page", order="query first"),
    Family("Qwen/Qwen3-VL-Reranker-8B", "reranker", "score", "Apache-2.0", 0, 32, "qwen3_vl", 0.667, _QWEN,
           remark="yes/no logits; query before page", order="query first"),
    Family("jinaai/jina-reranker-m0", "reranker", "score", "CC BY-NC 4.0", 0, 28, "qwen2_vl", 0.578, _QWEN,
           remark="score head; page before query; needs --trust-remote-code", order="page first"),
)  # fmt: skip

FAMILIES: Mapping[str, Family] = MappingProxyType({family.checkpoint: family for family in _ROWS})
"""The table by checkpoint."""


def family_of(name: str) -> Family | None:
    """The table's entry for a name as users write it, in any case, `st:` or not; None without one."""
    wanted = name.removeprefix("st:").casefold()
    return next((family for family in _ROWS if family.checkpoint.casefold() == wanted), None)


def trained_order(identity: str) -> Order:
    """What a reranker of the table shows first, whether it is named in full or by its directory's name."""
    name = identity.removeprefix("st:").casefold()
    for family in _ROWS:
        if name in (family.checkpoint.casefold(), family.checkpoint.rpartition("/")[2].casefold()):
            return family.order
    return ""
