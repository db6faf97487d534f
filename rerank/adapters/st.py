"""Vision-language rerankers through sentence-transformers: yes/no logits and score heads."""

import copy
import hashlib
import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from PIL import Image
from sentence_transformers import CrossEncoder

from backbone.batches import Batches
from backbone.checkpoint import Checkpoint, open_checkpoint
from backbone.device import Place, place
from backbone.inputs import Budget, budget, plain_text, prompt_digest
from backbone.preprocess import Preprocessors
from backbone.running import loading_options, moved, opened
from backbone.strict import check_weights
from backbone.threads import Crew
from domain.errors import ModelError
from domain.fingerprint import Fingerprint
from domain.model import ModelSettings
from rerank.adapters.heads import check_prompt, lift_head, modules_for
from rerank.adapters.pixels import PixelCache, page_key
from rerank.adapters.towers import QUERY_BLIND, TowerCache
from rerank.reranker import Candidate

_PROMPT_TOKENS = 96


def load(name: str, *, settings: ModelSettings) -> "StReranker":
    """Open a checkpoint strictly and make a reranker of it.

    Args:
        name: a local directory or `ORG/NAME`, with or without `st:` before it.
        settings: device, budget, and for a plain vision-language checkpoint its two words and template.

    Raises:
        ModelError: the checkpoint would not score as it was trained; names the file and the remedy.
    """
    checkpoint = open_checkpoint(name, settings)
    _refuse_encoder(checkpoint)
    where = place(settings)
    task = None if checkpoint.modules else _task(checkpoint)
    check_weights(checkpoint, settings, task=task)
    model = opened(checkpoint, lambda: _made(checkpoint, settings, where, task))
    if model.num_labels != 1:
        raise ModelError(f"{checkpoint.name} gives {model.num_labels} scores a pair; a reranker gives one")
    check_prompt(model, checkpoint, settings)
    lift_head(model, checkpoint, settings)
    if settings.compile:
        model.compile(dynamic=True)
    return StReranker(model.eval(), checkpoint, settings, where)


def _made(checkpoint: Checkpoint, settings: ModelSettings, where: Place, task: str | None) -> CrossEncoder:
    options = loading_options(settings, where)
    if task == "any-to-any":
        options = {"modules": modules_for(checkpoint, settings, options)}
    else:
        options |= {
            "model_name_or_path": str(checkpoint.directory),
            "local_files_only": True,
            "trust_remote_code": settings.trust_remote_code,
        }
    made: CrossEncoder = CrossEncoder(**options, device=where.device)
    return made


@dataclass(frozen=True, slots=True, eq=False)
class _Pair:
    query: str
    candidate: Candidate
    image: Image.Image | None
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class _Ready:
    features: Mapping[str, Any]
    keys: tuple[str, ...] | None


class StReranker:
    """A sentence-transformers cross-encoder as a reranker; safe to call from several threads."""

    def __init__(
        self, model: CrossEncoder, checkpoint: Checkpoint, settings: ModelSettings, where: Place
    ) -> None:
        """Wrap a loaded and checked model."""
        self._model: Any = model
        self._settings = settings
        self._name = checkpoint.name
        self._chat = "message" in model.modalities
        self._sees = "image" in settings.reads
        self._budget: Budget | None = (
            budget(model, checkpoint, settings.max_visual_tokens) if self._sees else None
        )
        self._device = torch.device(where.device)
        self._spelling, self._running = threading.Lock(), threading.Lock()
        self._crew = Crew()
        self._tokenizer = copy.deepcopy(model.tokenizer)  # its own: a tokenizer serves one thread at a time
        self._tower = _cached_tower(model, checkpoint, settings) if self._sees else None
        self._pixels = _cached_pixels(model, settings) if self._sees and self._tower is None else None
        self._ready = Preprocessors(model[0], count=where.workers, pin=self._device.type == "cuda")
        self._batches = Batches(
            self._prepare, self._run, limit=where.batch_tokens, name=self._name, ahead=where.workers
        )
        self._fingerprint = Fingerprint(
            model=checkpoint.identity,
            revision=checkpoint.revision,
            weights=checkpoint.weights,
            prompt=_prompt_name(model, settings),
            max_visual_tokens=settings.max_visual_tokens,
            pooling=settings.reads,
            dtype=where.dtype_name,
        )

    @property
    def name(self) -> str:
        """The name under which the user chose it."""
        return self._name

    @property
    def fingerprint(self) -> Fingerprint:
        """What made the scores; a calibration belongs to one fingerprint."""
        return self._fingerprint

    @property
    def tower(self) -> TowerCache | None:
        """The cache of vision-tower outputs, None where the family's tower could see the query."""
        return self._tower

    @property
    def pixels(self) -> PixelCache | None:
        """The cache of preprocessed pages, where there is none of tower outputs."""
        return self._pixels

    def scores(self, query: str, candidates: Sequence[Candidate]) -> list[float]:
        """Raw logits in float32, one a candidate, in order; `probability` reads one as the model does.

        Raises:
            ModelError: a score is not finite, or a pair does not fit in memory.
        """
        with self._spelling:
            plain = plain_text(self._tokenizer, query, max_tokens=self._settings.max_query_tokens)
        # pictures are decoded side by side: that takes longer than a GPU needs to read them
        pairs = self._crew.each(partial(self._pair, plain), candidates)
        found = self._batches.run(pairs, [self._size(pair) for pair in pairs])
        for score, candidate in zip(found, candidates, strict=True):
            if not math.isfinite(score):
                raise ModelError(f"{self._name} scored page {candidate.page} with {score}; try dtype float32")
        return found

    def probability(self, score: float) -> float:
        """What the model itself says the chance of relevance is: the logistic function of its logit."""
        return 1 / (1 + math.exp(-score)) if score >= 0 else math.exp(score) / (1 + math.exp(score))

    def _pair(self, query: str, candidate: Candidate) -> _Pair:
        image = candidate.image() if self._sees else None
        text = ""
        if "text" in self._settings.reads:
            with self._spelling:
                limit = self._settings.max_text_tokens
                text = plain_text(self._tokenizer, candidate.text(), max_tokens=limit)
        return _Pair(query, candidate, image, text)

    def _size(self, pair: _Pair) -> int:
        visual = self._budget.tokens(pair.image) if self._budget is not None and pair.image is not None else 0
        return visual + len(pair.query) // 2 + len(pair.text) // 3 + _PROMPT_TOKENS

    def _prepare(self, pairs: Sequence[_Pair]) -> _Ready:
        images = [None if pair.image is None else pair.image.convert("RGB") for pair in pairs]
        keys = None
        if self._tower is not None:
            keys = tuple(page_key(image) for image in images if image is not None)
        inputs = [self._input(pair, image) for pair, image in zip(pairs, images, strict=True)]
        options: dict[str, Any] = {"text": {"truncation": not self._chat}}
        if self._budget is not None:
            options["image"] = self._budget.options
        prompt = self._model.prompts.get(self._model.default_prompt_name)
        return _Ready(self._ready(inputs, prompt=prompt, processing_kwargs=options), keys)

    def _input(self, pair: _Pair, image: Image.Image | None) -> Any:
        if not self._chat:
            return (pair.query, pair.text)
        parts: dict[str, Any] = {}
        if image is not None:
            parts["image"] = image
        if pair.text or image is None:
            parts["text"] = pair.text
        return ({"text": pair.query}, parts)

    def _run(self, ready: _Ready) -> list[float]:
        with self._running, torch.inference_mode():
            if self._tower is not None:
                self._tower.keys = ready.keys
            found = self._model(moved(ready.features, self._device))["scores"]
        scores: list[float] = found.float().reshape(-1).cpu().tolist()
        return scores


def _refuse_encoder(checkpoint: Checkpoint) -> None:
    """A saved encoder would be given a score head of random numbers."""
    types = [str(module.get("type", "")) for module in checkpoint.modules]
    if types and not types[-1].endswith((".LogitScore", ".Dense", ".Transformer")):
        raise ModelError(
            f"{checkpoint.directory / 'modules.json'} ends in {types[-1].rpartition('.')[2]}, which gives "
            "no score: "
            f"{checkpoint.name} is an encoder; choose it with --encoder"
        )


def _task(checkpoint: Checkpoint) -> str:
    classifies = any(name.endswith("ForSequenceClassification") for name in checkpoint.architectures)
    return "sequence-classification" if classifies else "any-to-any"


def _prompt_name(model: CrossEncoder, settings: ModelSettings) -> str:
    words = f"{settings.true_token}/{settings.false_token}" if settings.true_token else ""
    return hashlib.sha256((prompt_digest(model) + words).encode()).hexdigest()[:16]


def _cached_tower(model: Any, checkpoint: Checkpoint, settings: ModelSettings) -> TowerCache | None:
    """Put a cache in front of the vision tower where that changes nothing but the time."""
    if checkpoint.family not in QUERY_BLIND or settings.tower_cache_mib <= 0 or settings.compile:
        return None
    backbone = model[0].model
    owner = backbone if hasattr(backbone, "visual") else getattr(backbone, "model", None)
    if owner is None or not hasattr(owner, "visual"):
        return None
    cache = TowerCache(owner.visual, max_bytes=settings.tower_cache_mib * 2**20)
    owner.visual = cache
    return cache


def _cached_pixels(model: Any, settings: ModelSettings) -> PixelCache | None:
    """Put a cache in front of the image processor: the tower must run, but pages need not be resized again."""
    if settings.tower_cache_mib <= 0:
        return None
    processor = model[0].processor
    cache = PixelCache(processor.image_processor, max_bytes=settings.tower_cache_mib * 2**20)
    processor.image_processor = cache
    return cache
