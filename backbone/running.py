"""What every sentence-transformers model is opened and run with, whether it encodes or reranks."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from sentence_transformers.base.modules import Dense

from backbone.checkpoint import Checkpoint
from backbone.device import Place
from backbone.strict import quiet
from domain.errors import ModelError
from domain.model import ModelSettings

Model = TypeVar("Model")


def loading_options(settings: ModelSettings, where: Place) -> dict[str, Any]:
    """Arguments for the constructors of sentence-transformers: number format, attention, template."""
    return {
        "model_kwargs": {
            "dtype": where.dtype,
            "attn_implementation": where.attention,
            "use_safetensors": True,
        },
        "processor_kwargs": {"chat_template": settings.template} if settings.template else {},
    }


def opened(checkpoint: Checkpoint, make: Callable[[], Model]) -> Model:
    """Build a model quietly.

    Raises:
        ModelError: the libraries cannot; names the directory and their reason.
    """
    with quiet():
        try:
            return make()
        except (OSError, ValueError, RuntimeError, KeyError, AttributeError, ImportError) as error:
            raise ModelError(f"{checkpoint.directory} cannot be loaded: {error}") from error


def lift_heads(model: Any) -> None:
    """Let projection heads compute in float32 whatever the backbone runs in."""
    for module in model:
        if isinstance(module, Dense):
            module.float()
            module.register_forward_pre_hook(_in_float32)


def moved(features: Mapping[str, Any], device: torch.device) -> dict[str, Any]:
    """A batch's tensors on the model's device; from pinned memory they travel while it computes."""
    return {
        key: value.to(device, non_blocking=True) if torch.is_tensor(value) else value
        for key, value in features.items()
    }


def _in_float32(module: Any, inputs: tuple[dict[str, Any]]) -> tuple[dict[str, Any]]:
    features = dict(inputs[0])
    features[module.module_input_name] = features[module.module_input_name].float()
    return (features,)
