"""How an engine searches."""

from dataclasses import dataclass

from retrieve.maxsim import Kind


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How an engine searches.

    Attributes:
        pooled: vectors a page in the first stage, at most; FAISS holds two thirds of them.
        candidates: pages that are scored exactly, at least; four times k where that is more.
        products: so many products of a question's token and a page's vector are made at any rate: where pages or
            questions are short, two or three times `candidates` are scored.
        exact_rows: so many page vectors are simply all compared; beyond, the first stage chooses pages.
        stored: in which numbers a new store keeps vectors; one that is there keeps its own.
        device: where vectors are compared, as torch names it.
        hot_bytes: memory on that device for pages that are asked for often; 0 compares on the processor.
    """

    pooled: int = 96
    candidates: int = 400
    products: int = 400 * 700 * 24
    exact_rows: int = 1_000_000
    stored: Kind = "int8"
    device: str = "cpu"
    hot_bytes: int = 0
