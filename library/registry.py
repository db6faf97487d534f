"""From a model's name to the function that loads it; nothing heavy is imported before it is asked for."""

import importlib
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Protocol, cast

from tokenizers import Tokenizer

import models
from backbone.device import place
from domain.model import ModelSettings
from domain.names import unknown
from library.settings import Settings
from rerank.reranker import PageFeatures, Reranker
from retrieve.dense import TextTower, load
from retrieve.encoder import Encoder
from retrieve.text_tower import TOKENIZER

ENCODERS: Mapping[str, str] = {
    "builtin": "retrieve.adapters.builtin:load",
    "colour": "retrieve.adapters.colour:load",
    "st": "retrieve.adapters.st:load",
    "vllm": "retrieve.adapters.remote:load",
    "openai": "retrieve.adapters.remote:load",
}
"""Encoders by name, or by the part of a name before its colon."""

RERANKERS: Mapping[str, str] = {
    "builtin": "rerank.adapters.builtin:load",
    "st": "rerank.adapters.st:load",
    "vllm": "rerank.adapters.remote:load",
    "score": "rerank.adapters.remote:load",
    "jina": "rerank.adapters.remote:load",
    "cohere": "rerank.adapters.remote:load",
}
"""Rerankers by name, or by the part of a name before its colon; `none` is no reranker."""


def weights(name: str) -> Path:
    """The folder of a model that ships with recto: encoder, reranker or text."""
    return Path(models.__file__).parent / name


def model_settings(settings: Settings, further: Mapping[str, Any] | None = None) -> ModelSettings:
    """What a model adapter needs to know of the library's settings.

    Raises:
        UsageError: a further option does not exist.
    """
    known = {item.name for item in fields(ModelSettings)}
    for name in further or {}:
        if name not in known:
            raise unknown("option of a model", name, known)
    basic = ModelSettings(
        device=settings.device,
        dtype=settings.dtype,
        max_visual_tokens=settings.max_visual_tokens or None,
        trust_remote_code=settings.trust_remote_code,
        offline=settings.offline,
        api_key=settings.engine_key or None,
    )
    return replace(basic, **(further or {}))


class Namer(Protocol):
    """Turns an encoder's vectors of a page back into words."""

    def text(self, features: PageFeatures) -> str:
        """The words that are known, line by line from the top."""
        ...


def load_encoder(settings: Settings) -> Encoder:
    """Load the visual bi-encoder that the settings name.

    Raises:
        UsageError: there is no model of that name; says which are near.
        ModelError: it cannot be loaded.
    """
    found = _function(settings.encoder, ENCODERS, kind="encoder")
    return cast(
        "Encoder", found(settings.encoder, settings=model_settings(settings, settings.encoder_options))
    )


def load_reranker(settings: Settings, **parts: Any) -> Reranker | None:
    """Load the cross-encoder that the settings name; None for `none`.

    Raises:
        UsageError: there is no model of that name; says which are near.
        ModelError: it cannot be loaded.
    """
    if settings.reranker == "none":
        return None
    found = _function(settings.reranker, RERANKERS, kind="reranker")
    options = parts if settings.reranker.partition(":")[0] == "builtin" else {}
    return cast(
        "Reranker",
        found(settings.reranker, settings=model_settings(settings, settings.reranker_options), **options),
    )


def load_tower(settings: Settings) -> TextTower:
    """Load the built-in text tower; ModelError where its files or the device are missing."""
    return load(weights("text"), device=place(model_settings(settings)).device)


def load_words() -> frozenset[str]:
    """English words, in lower case: those that the text tower's tokenizer does not take apart."""
    known = Tokenizer.from_file(str(weights("text") / TOKENIZER)).get_vocab()
    return frozenset(word for word in known if word.isalpha())


def load_namer() -> Namer:
    """Load what turns the built-in encoder's vectors of a page back into words."""
    found = importlib.import_module("rerank.adapters.builtin").read_reader
    return cast("Namer", found(weights("encoder"), weights("text")))


def _function(name: str, table: Mapping[str, str], *, kind: str) -> Any:
    prefix = name.partition(":")[0]
    if name not in table and (prefix not in table or ":" not in name):
        if Path(name).is_dir():
            prefix = "st"
        else:
            raise unknown(kind, name, table)
    module, _, function = table[name if name in table else prefix].partition(":")
    return getattr(importlib.import_module(module), function)
