"""Checkpoints of real architectures with random weights: speed does not depend on their values.

Real tokenizer, processor and model classes of the family, written to disk and loaded as a user loads theirs.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import MultiVectorEncoder
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask
from transformers import (
    PreTrainedModel,
    Qwen2VLConfig,
    Qwen2VLModel,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
)

from backbone.strict import quiet
from tests import checkpoints

VOCABULARY = 151_936


@dataclass(frozen=True)
class Shape:
    """The numbers that set an architecture's cost."""

    name: str
    family: str
    text: dict[str, Any]
    vision: dict[str, Any]
    vocabulary: int = VOCABULARY


FULL = {
    "colqwen2-2b": Shape(
        "colqwen2-2b",
        "qwen2_vl",
        {"hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": 28, "num_attention_heads": 12,
         "num_key_value_heads": 2, "mrope": [16, 24, 24]},
        {"depth": 32, "embed_dim": 1280, "hidden_size": 1536, "num_heads": 16, "mlp_ratio": 4, "patch_size": 14},
    ),
    "qwen3-vl-reranker-2b": Shape(
        "qwen3-vl-reranker-2b",
        "qwen3_vl",
        {"hidden_size": 2048, "intermediate_size": 6144, "num_hidden_layers": 28, "num_attention_heads": 16,
         "num_key_value_heads": 8, "head_dim": 128, "mrope": [24, 20, 20]},
        {"depth": 24, "hidden_size": 1024, "intermediate_size": 4096, "num_heads": 16, "out_hidden_size": 2048,
         "deepstack_visual_indexes": [5, 11, 17], "num_position_embeddings": 2304, "patch_size": 16},
    ),
    "qwen3-vl-reranker-8b": Shape(
        "qwen3-vl-reranker-8b",
        "qwen3_vl",
        {"hidden_size": 4096, "intermediate_size": 12288, "num_hidden_layers": 36, "num_attention_heads": 32,
         "num_key_value_heads": 8, "head_dim": 128, "mrope": [24, 20, 20]},
        {"depth": 27, "hidden_size": 1152, "intermediate_size": 4304, "num_heads": 16, "out_hidden_size": 4096,
         "deepstack_visual_indexes": [8, 16, 24], "num_position_embeddings": 2304, "patch_size": 16},
    ),
}  # fmt: skip
TINY = {
    "colqwen2-tiny": Shape(
        "colqwen2-tiny",
        "qwen2_vl",
        {"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 4, "num_attention_heads": 4,
         "num_key_value_heads": 2, "mrope": [8, 12, 12]},
        {"depth": 4, "embed_dim": 128, "hidden_size": 256, "num_heads": 4, "mlp_ratio": 4, "patch_size": 14},
        4096,
    ),
    "qwen3-vl-reranker-tiny": Shape(
        "qwen3-vl-reranker-tiny",
        "qwen3_vl",
        {"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 4, "num_attention_heads": 4,
         "num_key_value_heads": 2, "head_dim": 64, "mrope": [12, 10, 10]},
        {"depth": 4, "hidden_size": 128, "intermediate_size": 512, "num_heads": 4, "out_hidden_size": 256,
         "deepstack_visual_indexes": [1, 2], "num_position_embeddings": 2304, "patch_size": 16},
        32_768,
    ),
}  # fmt: skip


def build(shape: Shape, directory: Path, *, device: str, tokens: int) -> Path:
    """Write a checkpoint of random weights, whose pages become at most `tokens` visual tokens each.

    A reranker is one directory. An encoder is two: `colpali`, for colpali-engine's own loop, and `native`.
    """
    tok = checkpoints.tokenizer()
    reranks = shape.family == "qwen3_vl"
    template = checkpoints.RERANKER_TEMPLATE if reranks else checkpoints.COLQWEN_TEMPLATE
    processor = checkpoints.processor(shape.family, tok, template)
    side = 2 * shape.vision["patch_size"]
    processor.image_processor.size = {"shortest_edge": 4 * side**2, "longest_edge": tokens * side**2}
    plain = directory if reranks else directory / "colpali"
    with quiet():
        _random(shape, tok, device).save_pretrained(plain)
        processor.save_pretrained(plain)
        if not reranks:
            _make_native(plain, directory / "native", processor)
    return directory


def _make_native(plain: Path, native: Path, processor: Any) -> None:
    """The same weights in the layout of sentence-transformers; then the projection in colpali-engine's."""
    transformer = Transformer(str(plain), model_kwargs={"dtype": torch.bfloat16})
    width = transformer.model.config.text_config.hidden_size
    projection = Dense(
        width, 128, activation_function=torch.nn.Identity(), module_input_name="token_embeddings"
    ).to(torch.bfloat16)
    modules = [transformer, projection, MultiVectorMask(), Normalize(module_input_name="token_embeddings")]
    MultiVectorEncoder(modules=modules, device="cpu").save_pretrained(str(native))
    tensors = load_file(plain / "model.safetensors")
    tensors["custom_text_proj.weight"] = projection.linear.weight.detach().contiguous()
    tensors["custom_text_proj.bias"] = projection.linear.bias.detach().contiguous()
    save_file(tensors, plain / "model.safetensors", metadata={"format": "pt"})
    processor.save_pretrained(plain)


def _random(shape: Shape, tok: Any, device: str) -> PreTrainedModel:
    text = dict(shape.text)
    rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": text.pop("mrope")}
    if shape.family == "qwen3_vl":
        rope["mrope_interleaved"] = True
    text.update(
        vocab_size=shape.vocabulary, rope_parameters=rope, max_position_embeddings=32_768,
        pad_token_id=tok.pad_token_id, bos_token_id=None, eos_token_id=tok.eos_token_id,
    )  # fmt: skip
    kinds: dict[str, tuple[Any, Any]] = {
        "qwen2_vl": (Qwen2VLConfig, Qwen2VLModel),
        "qwen3_vl": (Qwen3VLConfig, Qwen3VLForConditionalGeneration),
    }
    config_kind, model_kind = kinds[shape.family]
    ids = {
        f"{name}_id": tok.convert_tokens_to_ids(f"<|{token}|>")
        for name, token in (
            ("image_token", "image_pad"), ("video_token", "video_pad"),
            ("vision_start_token", "vision_start"), ("vision_end_token", "vision_end"),
        )
    }  # fmt: skip
    config = config_kind(text_config=text, vision_config=dict(shape.vision), **ids)
    torch.manual_seed(0)
    with torch.device(device):
        made = model_kind(config)
    return made.to(torch.bfloat16).eval()
