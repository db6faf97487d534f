"""Child process of `convert`: the only file that imports colpali_engine, which renames weights globally.

Run as `python -m retrieve.adapters.colpali SOURCE OUT [SOURCE OUT ...]`. Writes, under each OUT, the
backbone's tensors and configuration, the processor's parts, the prompts, and colpali-engine's own vectors
of the probe.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from colpali_engine.models import (
    ColQwen2,
    ColQwen2_5,
    ColQwen2_5_Processor,
    ColQwen2Processor,
    ColQwen3,
    ColQwen3Processor,
)
from safetensors.torch import save_file
from transformers import AutoConfig

from backbone import probe

_KINDS: dict[str, tuple[Any, Any]] = {
    "qwen2_vl": (ColQwen2, ColQwen2Processor),
    "qwen2_5_vl": (ColQwen2_5, ColQwen2_5_Processor),
    "qwen3_vl": (ColQwen3, ColQwen3Processor),
}
_HEAD = "custom_text_proj."
_ASIDE = ("model_type", "architectures", "torch_dtype", "dtype")


def main(source: str, out: Path) -> None:
    """Take a colpali-engine checkpoint, or an adapter and its base, apart.

    Raises:
        SystemExit: its family is none that we know to take apart.
    """
    family = _family(source)
    if family not in _KINDS:
        raise SystemExit(f"{source} is a {family or 'nameless'} model; known are {', '.join(_KINDS)}")
    kind, processing = _KINDS[family]
    model, found = kind.from_pretrained(source, dtype="auto", output_loading_info=True)
    if found["missing_keys"] or found["mismatched_keys"]:
        lost = sorted(map(str, [*found["missing_keys"], *found["mismatched_keys"]]))[:3]
        raise SystemExit(f"{source} lacks tensors that fit, such as {', '.join(lost)}")
    if hasattr(model, "merge_and_unload"):
        model = model.merge_and_unload()
    processor = processing.from_pretrained(source)
    _write(model, processor, family, out)
    _refer(model.float().eval(), processor, out)


def _family(source: str) -> str:
    adapter = Path(source) / "adapter_config.json"
    if adapter.exists():
        source = json.loads(adapter.read_text(encoding="utf-8"))["base_model_name_or_path"]
    return str(AutoConfig.from_pretrained(source).model_type)


def _write(model: Any, processor: Any, family: str, out: Path) -> None:
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    head = {name.removeprefix(_HEAD): tensors.pop(name) for name in list(tensors) if name.startswith(_HEAD)}
    save_file(tensors, out / "backbone.safetensors")
    save_file(head, out / "head.safetensors")
    config = model.config.to_dict()
    record = {
        "family": family,
        "config": {key: value for key, value in config.items() if key not in _ASIDE},
        "dtype": str(model.dtype).removeprefix("torch."),
        "page": processor.visual_prompt_prefix,
        "query_prefix": processor.query_prefix,
        "query_suffix": processor.query_augmentation_token * 10,
        "image_only": bool(model.mask_non_image_embeddings),
        "image_token": processor.image_token,
    }
    (out / "record.json").write_text(json.dumps(record), encoding="utf-8")
    processor.tokenizer.save_pretrained(out / "tokenizer")
    processor.image_processor.save_pretrained(out / "images")


def _refer(model: Any, processor: Any, out: Path) -> None:
    """Keep what colpali-engine itself makes of the probe, one input at a time, in float32."""
    vectors: dict[str, Any] = {}
    inputs = {f"page{i}": processor.process_images([page]) for i, page in enumerate(probe.pages())}
    texts = [pair.question for pair in probe.PAIRS]
    inputs.update({f"query{i}": processor.process_queries([text]) for i, text in enumerate(texts)})
    with torch.inference_mode():
        for name, batch in inputs.items():
            rows = model(**batch)[0]
            vectors[name] = rows[rows.norm(dim=-1) > 0].numpy()
    np.savez(out / "reference.npz", **vectors)


if __name__ == "__main__":
    for checkpoint, folder in zip(sys.argv[1::2], sys.argv[2::2], strict=True):
        main(checkpoint, Path(folder))
