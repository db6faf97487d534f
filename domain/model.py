"""How a model is loaded and run: one value that every model adapter takes."""

from dataclasses import dataclass
from typing import Literal

Reads = Literal["image", "text", "image+text"]


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """Choices for one model. What changes its output is part of its fingerprint.

    Attributes:
        device: `auto`, `cpu`, `cuda` or `cuda:N`; auto takes a GPU where there is one.
        dtype: `auto`, `float32`, `bfloat16` or `float16`; auto is bfloat16 on a GPU, float32 elsewhere.
        attention: `auto`, `sdpa`, `eager` or `flash_attention_2`.
        max_visual_tokens: visual tokens a page; None means the checkpoint's own limit.
        max_query_tokens: a longer query is cut here, never the prompt around it.
        max_text_tokens: a page's text layer is cut here, where a model reads it.
        batch_tokens: tokens in a batch, padding included; 0 means 16,384 on a GPU and 2,048 elsewhere.
        workers: threads that prepare batches ahead of the model; 0 means half the cores, at most 8, on a
            GPU, and one elsewhere.
        pool_factor: merge a page's token vectors to one in so many by Ward clustering; 1 keeps all.
        dim: keep the first `dim` numbers of a single-vector model trained for it; 0 keeps all.
        reads: what of a page a reranker is shown.
        true_token: the word whose logit speaks for relevance, for a plain vision-language checkpoint.
        false_token: the word whose logit speaks against it.
        template: a chat template (Jinja) in place of the checkpoint's own; empty keeps it.
        prompt_end: what the rendered prompt must end with; empty means the family's own ending.
        tower_cache_mib: memory for vision-tower outputs of hot pages, or for their preprocessed pixels where
            the tower could see the query; 0 switches the cache off.
        compile: compile the model with `torch.compile` (slow start, faster batches).
        revision: commit, tag or branch of the checkpoint; empty means the table's, or the newest.
        trust_remote_code: whether the checkpoint's own Python code may run.
        offline: use files already on this machine only.
        api_key: for remote engines that ask for one.
        timeout_s: seconds until a remote engine's answer is given up.
        retries: how often a failed call to a remote engine is repeated.
        concurrency: calls to a remote engine at the same time.
        probe: whether a remote engine must rank two pairs of known order before it is used.
    """

    device: str = "auto"
    dtype: str = "auto"
    attention: str = "auto"
    max_visual_tokens: int | None = None
    max_query_tokens: int = 512
    max_text_tokens: int = 2048
    batch_tokens: int = 0
    workers: int = 0
    pool_factor: float = 1.0
    dim: int = 0
    reads: Reads = "image"
    true_token: str = ""
    false_token: str = ""
    template: str = ""
    prompt_end: str = ""
    tower_cache_mib: int = 512
    compile: bool = False
    revision: str = ""
    trust_remote_code: bool = False
    offline: bool = False
    api_key: str | None = None
    timeout_s: float = 30.0
    retries: int = 3
    concurrency: int = 8
    probe: bool = True
