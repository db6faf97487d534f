"""Refuses a checkpoint whose tensors do not fit, which the libraries would fill with random numbers."""

import json
import logging
from collections.abc import Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import transformers
from safetensors import safe_open
from sentence_transformers.base.modules.transformer import TRANSFORMER_TASK_TO_AUTO_MODEL
from transformers import AutoConfig

from backbone.checkpoint import Checkpoint, tensor_names
from domain.errors import ModelError
from domain.model import ModelSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

_GENERATES = ("ForConditionalGeneration", "ForCausalLM")
_NO_ROPE = "ColQwen2ForRetrieval"


def check_weights(checkpoint: Checkpoint, settings: ModelSettings, *, task: str | None = None) -> None:
    """Load on the meta device, where nothing is allocated, and refuse what does not fit.

    Args:
        checkpoint: an opened checkpoint.
        settings: whether its own code may run.
        task: the sentence-transformers task of the backbone; None reads it from the checkpoint.

    Raises:
        ModelError: tensors are missing, unexpected or of another shape; names the files and tensors.
    """
    directory = checkpoint.transformer
    wanted = task or _task(directory)
    kind = _model_class(checkpoint, wanted)
    options: dict[str, Any] = {"trust_remote_code": settings.trust_remote_code, "local_files_only": True}
    with quiet():
        try:
            config = AutoConfig.from_pretrained(str(directory), **options)
            if kind is transformers.AutoModelForSequenceClassification and not _classifies(checkpoint):
                config.num_labels = 1
            _, found = kind.from_pretrained(
                str(directory), config=config, device_map="meta", output_loading_info=True,
                ignore_mismatched_sizes=True, use_safetensors=True, **options,
            )  # fmt: skip
        except (OSError, ValueError, RuntimeError, KeyError, AttributeError, ImportError) as error:
            raise ModelError(f"{directory} cannot be loaded: {error}") from error
    unexpected = {name for name in found["unexpected_keys"] if not _spare(name, checkpoint, wanted)}
    mismatched = {
        f"{name} {tuple(theirs)} instead of {tuple(ours)}" for name, theirs, ours in found["mismatched_keys"]
    }
    _refuse(directory, {"missing": found["missing_keys"], "unexpected": unexpected, "misshapen": mismatched})
    for module in checkpoint.modules[1:]:
        if str(module.get("type", "")).endswith(".Dense"):
            _check_dense(checkpoint.directory / str(module["path"]))


@contextmanager
def quiet() -> "Iterator[None]":
    """Silence the libraries' progress bars and load reports; the findings are raised instead."""
    bars_of: Any = transformers.utils.logging
    logger = logging.getLogger("transformers")
    level, bars = logger.level, bars_of.is_progress_bar_enabled()
    bars_of.disable_progress_bar()
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
        if bars:
            bars_of.enable_progress_bar()


def _task(directory: Path) -> str:
    path = directory / "sentence_bert_config.json"
    if not path.exists():
        return "feature-extraction"
    return str(json.loads(path.read_text(encoding="utf-8")).get("transformer_task", "feature-extraction"))


def _model_class(checkpoint: Checkpoint, task: str) -> Any:
    if _NO_ROPE in checkpoint.architectures:
        raise ModelError(
            f"{checkpoint.name}: transformers' {_NO_ROPE} leaves out the positions that the model was "
            "trained with; "
            "take the colpali-engine checkpoint and convert it: recto models convert SOURCE TARGET"
        )
    if task == "retrieval":
        found = [getattr(transformers, name, None) for name in checkpoint.architectures]
        known = [kind for kind in found if kind is not None]
        if not known:
            raise ModelError(
                f"{checkpoint.name}: transformers has no class {', '.join(checkpoint.architectures)}"
            )
        return known[0]
    if task not in TRANSFORMER_TASK_TO_AUTO_MODEL:
        raise ModelError(f"{checkpoint.transformer / 'sentence_bert_config.json'}: unknown task {task!r}")
    return TRANSFORMER_TASK_TO_AUTO_MODEL[task]


def _classifies(checkpoint: Checkpoint) -> bool:
    return any(name.endswith("ForSequenceClassification") for name in checkpoint.architectures)


def _spare(name: str, checkpoint: Checkpoint, task: str) -> bool:
    """The language head that a generating checkpoint carries and an encoder has no use for."""
    generates = any(kind.endswith(_GENERATES) for kind in checkpoint.architectures)
    return task == "feature-extraction" and generates and name.endswith("lm_head.weight")


def _check_dense(directory: Path) -> None:
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    shapes = {"linear.weight": [config["out_features"], config["in_features"]]}
    if config.get("bias", True):
        shapes["linear.bias"] = [config["out_features"]]
    if config.get("use_residual") and config["in_features"] != config["out_features"]:
        shapes["residual.weight"] = shapes["linear.weight"]
    names = tensor_names(directory)
    wrong = set()
    for file in directory.glob("*.safetensors"):
        with safe_open(file, framework="numpy") as opened:
            for name in set(opened.keys()) & set(shapes):
                if list(opened.get_slice(name).get_shape()) != shapes[name]:
                    wrong.add(name)
    _refuse(
        directory,
        {"missing": set(shapes) - names, "unexpected": names - set(shapes), "misshapen": wrong},
    )


def _refuse(directory: Path, findings: dict[str, Iterable[str]]) -> None:
    parts = []
    for what, names in findings.items():
        listed = sorted(names)
        if listed:
            more = f" and {len(listed) - 3} more" if len(listed) > 3 else ""
            parts.append(f"{len(listed)} {what} ({', '.join(listed[:3])}{more})")
    if parts:
        raise ModelError(
            f"the tensors in {directory} do not fit its configuration: {'; '.join(parts)}. It would run "
            "with random "
            "weights; fetch the checkpoint again, or convert it with the program that made it"
        )
