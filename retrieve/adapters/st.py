"""Encoders of the field through sentence-transformers: ColQwen-shaped and single-vector ones."""

import copy
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from sentence_transformers import MultiVectorEncoder, SentenceTransformer
from sentence_transformers.multi_vector_encoder.modules import HierarchicalTokenPooling

from backbone.batches import Batches
from backbone.checkpoint import Checkpoint, open_checkpoint
from backbone.device import Place, place
from backbone.inputs import (
    Budget,
    budget,
    holds_probe,
    image_token,
    plain_text,
    probe_messages,
    prompt_digest,
    rendered,
)
from backbone.preprocess import Preprocessors
from backbone.running import lift_heads, loading_options, moved, opened
from backbone.strict import check_weights
from domain.errors import ModelError
from domain.fingerprint import Fingerprint
from domain.model import ModelSettings
from retrieve.encoder import Floats, Vectors

Task = Literal["query", "document"]
_LATE = ("MultiVectorEncoder", "ColBERT")
_PROMPTS: dict[Task, tuple[str, ...]] = {"query": ("query",), "document": ("document", "passage", "corpus")}


def load(name: str, *, settings: ModelSettings) -> "StEncoder":
    """Open a checkpoint strictly and make an encoder of it.

    Args:
        name: a local directory or `ORG/NAME`, with or without `st:` before it.
        settings: device, budget, pooling and what else may differ.

    Raises:
        ModelError: the checkpoint would not run as it was trained; names the file and the remedy.
    """
    checkpoint = open_checkpoint(name, settings)
    kind = _kind(checkpoint)
    check_weights(checkpoint, settings)
    where = place(settings)
    options = loading_options(settings, where)
    shared = {"local_files_only": True, "trust_remote_code": settings.trust_remote_code}
    model = opened(
        checkpoint, lambda: kind(str(checkpoint.directory), device=where.device, **shared, **options)
    )
    _check_prompts(model, checkpoint)
    lift_heads(model)
    if settings.compile:
        model.compile(dynamic=True)
    return StEncoder(model.eval(), checkpoint, settings, where)


class StEncoder:
    """A sentence-transformers model as an encoder; safe to call from several threads."""

    def __init__(self, model: Any, checkpoint: Checkpoint, settings: ModelSettings, where: Place) -> None:
        """Wrap a loaded and checked model."""
        self._model = model
        self._settings = settings
        self._late = isinstance(model, MultiVectorEncoder)
        self._budget: Budget = budget(model, checkpoint, settings.max_visual_tokens)
        self._pooling = _pooling(settings, late=self._late)
        self._spelling, self._running = threading.Lock(), threading.Lock()
        self._device = torch.device(where.device)
        self._tokenizer = copy.deepcopy(model.tokenizer)  # its own: a tokenizer serves one thread at a time
        self._ready = Preprocessors(model[0], count=where.workers, pin=self._device.type == "cuda")
        self._name = checkpoint.name
        self._dim = settings.dim or int(model.get_embedding_dimension())
        shared: dict[str, Any] = {"limit": where.batch_tokens, "name": self._name, "ahead": where.workers}
        self._pages = Batches(self._prepare_pages, self._run_pages, **shared)
        self._queries = Batches(self._prepare_queries, self._run_queries, **shared)
        self._fingerprint = Fingerprint(
            model=checkpoint.identity,
            revision=checkpoint.revision,
            weights=checkpoint.weights,
            prompt=prompt_digest(model),
            max_visual_tokens=settings.max_visual_tokens,
            pooling=_pooling_name(settings, late=self._late),
            dtype=where.dtype_name,
        )

    @property
    def name(self) -> str:
        """The name under which the user chose it."""
        return self._name

    @property
    def dim(self) -> int:
        """The width of every vector."""
        return self._dim

    @property
    def fingerprint(self) -> Fingerprint:
        """What made the vectors."""
        return self._fingerprint

    def pages(self, images: Sequence[Image.Image]) -> list[Vectors]:
        """Embed page images, in order; one unit row each, or one a token.

        Raises:
            ModelError: a page does not fit in memory, or a vector is not finite.
        """
        return self._pages.run(images, [self._budget.tokens(image) + 32 for image in images])

    def queries(self, texts: Sequence[str]) -> list[Vectors]:
        """Embed query texts, in order; control tokens in them are blanked, over-long ones are cut.

        Raises:
            ModelError: a vector is not finite.
        """
        limit = self._settings.max_query_tokens
        with self._spelling:
            plain = [plain_text(self._tokenizer, text, max_tokens=limit) for text in texts]
        return self._queries.run(plain, [len(text) + 32 for text in plain])

    def _prepare_pages(self, images: Sequence[Image.Image]) -> dict[str, Any]:
        inputs = [{"image": image.convert("RGB")} for image in images]
        return self._prepare(inputs, task="document", options={"image": self._budget.options})

    def _prepare_queries(self, texts: Sequence[str]) -> dict[str, Any]:
        return self._prepare([{"text": text} for text in texts], task="query", options={})

    def _prepare(self, inputs: list[Any], *, task: Task, options: Mapping[str, Any]) -> dict[str, Any]:
        untouched = getattr(self._model[0], "query_expansion", None) is None
        whole = {"text": {"truncation": False}} if untouched else {}
        prompt = _prompt(self._model, task)
        return self._ready(inputs, prompt=prompt, task=task, processing_kwargs={**whole, **options})

    def _forward(self, features: Mapping[str, Any], task: Task) -> dict[str, Any]:
        with self._running, torch.inference_mode():
            found: dict[str, Any] = self._model(moved(features, self._device), task=task)
        return found

    def _run_pages(self, features: Mapping[str, Any]) -> list[Vectors]:
        grids = features.get("image_grid_thw")
        found = self._forward(features, "document")
        if not self._late:
            return [Vectors(row) for row in self._single(found)]
        made = []
        for position, (rows, ids) in enumerate(self._tokens(found)):
            if self._pooling is not None:
                pooled = self._pooling.pool([torch.from_numpy(rows)], task="document")[0]
                made.append(Vectors(self._unit(pooled.numpy())))
                continue
            boxes = None if grids is None or ids is None else self._boxes(ids, grids[position].tolist())
            made.append(Vectors(rows, boxes=boxes))
        return made

    def _run_queries(self, features: Mapping[str, Any]) -> list[Vectors]:
        found = self._forward(features, "query")
        if not self._late:
            return [Vectors(row) for row in self._single(found)]
        return [Vectors(rows, labels=self._labels(ids)) for rows, ids in self._tokens(found)]

    def _single(self, found: Mapping[str, Any]) -> list[Floats]:
        rows = found["sentence_embedding"].float().cpu().numpy()[:, : self._dim]
        return [self._unit(row[None]) for row in rows]

    def _tokens(self, found: Mapping[str, Any]) -> list[tuple[Floats, list[int] | None]]:
        rows = found["token_embeddings"].float().cpu().numpy()
        kept = found["attention_mask"].bool().cpu().numpy()
        ids = found["input_ids"].cpu().numpy() if "input_ids" in found else None
        return [
            (self._unit(rows[i][kept[i]]), None if ids is None else ids[i][kept[i]].tolist())
            for i in range(len(rows))
        ]

    def _unit(self, rows: Floats) -> Floats:
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        if not np.isfinite(lengths).all() or (lengths == 0).any():
            raise ModelError(f"{self._name} returned a vector that is zero or not finite; try dtype float32")
        return np.ascontiguousarray(rows / lengths, dtype=np.float32)

    def _labels(self, ids: Sequence[int] | None) -> tuple[str, ...] | None:
        if ids is None:
            return None
        tokenizer = self._model.tokenizer
        return tuple(
            tokenizer.convert_tokens_to_string([token]) for token in tokenizer.convert_ids_to_tokens(ids)
        )

    def _boxes(self, ids: Sequence[int], grid: Sequence[int]) -> Floats | None:
        """Where each row looks: its cell for a visual token, the whole page for a word of the prompt."""
        merge = int(self._budget.processor.merge_size)
        tall, wide = grid[1] // merge, grid[2] // merge
        visual = np.flatnonzero(
            np.asarray(ids) == self._model.tokenizer.convert_tokens_to_ids(image_token(self._model))
        )
        if len(visual) != tall * wide:
            return None
        boxes = np.tile(np.array([0, 0, 1, 1], dtype=np.float32), (len(ids), 1))
        row, column = np.divmod(np.arange(tall * wide), wide)
        cells = np.stack([column / wide, row / tall, (column + 1) / wide, (row + 1) / tall], axis=1)
        boxes[visual] = cells
        return boxes


def _kind(checkpoint: Checkpoint) -> Any:
    """The class that the checkpoint was saved with; guessing one would add random or wrong layers."""
    path = checkpoint.directory / "config_sentence_transformers.json"
    types = [str(module.get("type", "")) for module in checkpoint.modules]
    if any(name.endswith("ForRetrieval") for name in checkpoint.architectures) or any(
        kind.endswith("MultiVectorMask") for kind in types
    ):
        return MultiVectorEncoder
    if any(kind.endswith((".LogitScore",)) for kind in types):
        raise ModelError(f"{checkpoint.name} is a reranker; choose it with --reranker")
    if any(kind.endswith(".Pooling") for kind in types):
        return SentenceTransformer
    raise ModelError(
        f"{checkpoint.directory / 'modules.json'} does not say how token states become vectors (expected a "
        f"MultiVectorMask or a Pooling module, beside {path.name}); take a sentence-transformers "
        "checkpoint, or "
        "convert a colpali-engine one: recto models convert SOURCE TARGET"
    )


def _prompt(model: Any, task: Task) -> str | None:
    """The text that the model was trained with before a query or a page."""
    names = [*_PROMPTS[task], model.default_prompt_name]
    return next((model.prompts[name] for name in names if name in model.prompts), None)


def _check_prompts(model: Any, checkpoint: Checkpoint) -> None:
    """Refuse a template that drops the query's text or the page's image."""
    if "message" not in model.modalities:
        return
    declared = "task" in str(model.processor.chat_template)
    for task, image in (("query", False), ("document", True)):
        variables = {"task": task} if declared else {}
        prompt = rendered(model, probe_messages("user", image=image), checkpoint.transformer, **variables)
        if not (image_token(model) in prompt if image else holds_probe(prompt)):
            raise ModelError(
                f"{checkpoint.transformer / 'chat_template.jinja'} leaves out the "
                f"{'image of a page' if image else 'text of a query'}; fetch the model's own template"
            )


def _pooling(settings: ModelSettings, *, late: bool) -> HierarchicalTokenPooling | None:
    if settings.pool_factor < 1:
        raise ModelError(f"pool_factor must be at least 1, not {settings.pool_factor}")
    if not late or settings.pool_factor == 1:
        return None
    return HierarchicalTokenPooling(settings.pool_factor, num_protected_tokens=0)


def _pooling_name(settings: ModelSettings, *, late: bool) -> str:
    if late:
        return "none" if settings.pool_factor == 1 else f"ward:{settings.pool_factor:g}"
    return "single" if not settings.dim else f"single:{settings.dim}"
