"""Tiny checkpoints of the real families, built at test time and loaded as a user loads theirs.

Real tokenizer, processor and model classes; two layers of 64 units; weights scaled up so that outputs differ.
"""

import atexit
import functools
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image, ImageDraw
from safetensors.torch import load_file, save_file
from sentence_transformers import CrossEncoder, MultiVectorEncoder, SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.cross_encoder.modules import LogitScore
from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask
from sentence_transformers.sentence_transformer.modules import Pooling
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    PreTrainedModel,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2Tokenizer,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
    Qwen2VLVideoProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)

from backbone.strict import quiet

SPECIAL = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>",
    "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>",
)  # fmt: skip
IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"

# One template serves pages and queries of a late-interaction model: a page is the trained visual prompt, a
# query is its text and ten augmentation tokens.
COLQWEN_TEMPLATE = (
    "{%- for message in messages -%}{%- for part in message.content -%}"
    "{%- if part.type == 'image' -%}"
    "{{ '<|im_start|>user\\n" + IMAGE + "Describe the image.<|im_end|><|endoftext|>' }}"
    "{%- else -%}{{ part.text }}{%- if task is defined and task == 'query' -%}"
    "{{ '<|endoftext|>' * 10 }}{%- endif -%}{%- endif -%}"
    "{%- endfor -%}{%- endfor -%}"
)
EMBEDDING_TEMPLATE = (
    "{%- for message in messages -%}{{ '<|im_start|>' + message.role + '\\n' }}"
    "{%- for part in message.content -%}"
    "{%- if part.type == 'image' -%}{{ '" + IMAGE + "' }}{%- else -%}{{ part.text }}{%- endif -%}"
    "{%- endfor -%}{{ '<|im_end|>\\n' }}{%- endfor -%}{{ '<|endoftext|>' }}"
)
RERANKER_TEMPLATE = (
    "{{ '<|im_start|>system\\nAnswer yes or no.<|im_end|>\\n<|im_start|>user\\n' }}"
    "{%- for message in messages -%}{%- if message.role in ('query', 'document') -%}"
    "{{ '<' + message.role + '>: ' }}{%- for part in message.content -%}"
    "{%- if part.type == 'image' -%}{{ '" + IMAGE + "' }}{%- else -%}{{ part.text }}{%- endif -%}"
    "{%- endfor -%}{{ '\\n' }}{%- endif -%}{%- endfor -%}"
    "{{ '<|im_end|>\\n<|im_start|>assistant\\n' }}"
)


def tokenizer(*, extra: str = "yes no ") -> Qwen2Tokenizer:
    """A byte-level BPE of 320 entries in which the words of `extra` are single tokens."""
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trained.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320 - len(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    lines = [word for word in extra.split() for _ in range(200)]
    trained.train_from_iterator([*lines, "the page of the year and the margin in total"] * 2, trainer)
    state = json.loads(trained.to_str())["model"]
    merges = [tuple(pair) for pair in state["merges"]]
    made = Qwen2Tokenizer(vocab=state["vocab"], merges=merges, model_max_length=4096)
    made.add_special_tokens({"additional_special_tokens": list(SPECIAL[1:])})
    return made


def _ids(tok: Qwen2Tokenizer) -> dict[str, int]:
    names = ("image_pad", "video_pad", "vision_start", "vision_end")
    keys = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    return {key: tok.convert_tokens_to_ids(f"<|{name}|>") for key, name in zip(keys, names, strict=True)}


def _text(tok: Qwen2Tokenizer, **more: object) -> dict[str, object]:
    return {
        "vocab_size": len(tok), "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 4096,
        "pad_token_id": tok.pad_token_id, "bos_token_id": None, "eos_token_id": tok.eos_token_id, **more,
    }  # fmt: skip


def _scaled(model: PreTrainedModel, factor: float = 8.0) -> PreTrainedModel:
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1 and "norm" not in name:
                parameter.mul_(factor)
    return model.eval()


def qwen2_vl(tok: Qwen2Tokenizer, *, seed: int = 0) -> Qwen2VLForConditionalGeneration:
    """A Qwen2-VL of two layers."""
    torch.manual_seed(seed)
    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3]}
    vision = {
        "depth": 2,
        "embed_dim": 32,
        "hidden_size": 64,
        "num_heads": 2,
        "patch_size": 14,
        "mlp_ratio": 2,
    }
    config = Qwen2VLConfig(text_config=_text(tok, rope_parameters=rope), vision_config=vision, **_ids(tok))
    return _scaled(Qwen2VLForConditionalGeneration(config))


def qwen2_5_vl(tok: Qwen2Tokenizer, *, seed: int = 0) -> Qwen2_5_VLForConditionalGeneration:
    """A Qwen2.5-VL of two layers."""
    torch.manual_seed(seed)
    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3]}
    vision = {
        "depth": 2, "hidden_size": 32, "out_hidden_size": 64, "num_heads": 2, "intermediate_size": 64,
        "patch_size": 14, "window_size": 56, "fullatt_block_indexes": [1],
    }  # fmt: skip
    config = Qwen2_5_VLConfig(text_config=_text(tok, rope_parameters=rope), vision_config=vision, **_ids(tok))
    return _scaled(Qwen2_5_VLForConditionalGeneration(config))


def qwen3_vl(tok: Qwen2Tokenizer, *, seed: int = 0) -> Qwen3VLForConditionalGeneration:
    """A Qwen3-VL of two layers, with two deepstack taps in a vision tower of three."""
    torch.manual_seed(seed)
    rope = {
        "rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 2, 2], "mrope_interleaved": True,
    }  # fmt: skip
    vision = {
        "depth": 3, "hidden_size": 32, "out_hidden_size": 64, "num_heads": 2, "intermediate_size": 64,
        "patch_size": 16, "deepstack_visual_indexes": [0, 1], "num_position_embeddings": 64,
    }  # fmt: skip
    config = Qwen3VLConfig(
        text_config=_text(tok, rope_parameters=rope, head_dim=16), vision_config=vision, **_ids(tok)
    )
    return _scaled(Qwen3VLForConditionalGeneration(config))


def processor(family: str, tok: Qwen2Tokenizer, template: str) -> Qwen2VLProcessor:
    """The family's own processor, of 4 to 64 visual tokens a page."""
    patch = 16 if family == "qwen3_vl" else 14
    factor = (2 * patch) ** 2
    images = Qwen2VLImageProcessor(patch_size=patch, min_pixels=4 * factor, max_pixels=64 * factor)
    kinds = {
        "qwen2_vl": (Qwen2VLProcessor, Qwen2VLVideoProcessor),
        "qwen2_5_vl": (Qwen2_5_VLProcessor, Qwen2VLVideoProcessor),
        "qwen3_vl": (Qwen3VLProcessor, Qwen3VLVideoProcessor),
    }
    kind, video = kinds[family]
    return kind(
        image_processor=images, tokenizer=tok, video_processor=video(patch_size=patch), chat_template=template
    )


BACKBONES: dict[str, Callable[..., PreTrainedModel]] = {
    "qwen2_vl": qwen2_vl,
    "qwen2_5_vl": qwen2_5_vl,
    "qwen3_vl": qwen3_vl,
}


def plain(directory: Path, family: str, template: str, *, base: bool = False, extra: str = "yes no ") -> Path:
    """A vision-language checkpoint as its family publishes it; `base` leaves the language head out."""
    tok = tokenizer(extra=extra)
    model = BACKBONES[family](tok)
    (model.model if base else model).save_pretrained(directory)
    processor(family, tok, template).save_pretrained(directory)
    return directory


def _projection(width: int, out: str | None = None, *, bias: bool = True) -> Dense:
    torch.manual_seed(7)
    made = Dense(
        64, width, bias=bias, activation_function=torch.nn.Identity(),
        module_input_name="sentence_embedding" if out else "token_embeddings", module_output_name=out,
    )  # fmt: skip
    with torch.no_grad():
        made.linear.weight.mul_(4)
    return made


def late_interaction(directory: Path, family: str = "qwen2_vl", *, width: int = 16) -> Path:
    """A ColQwen-shaped model in the native layout."""
    backbone = plain(directory / "backbone", family, COLQWEN_TEMPLATE, base=True)
    modules = [
        Transformer(str(backbone)),
        _projection(width),
        MultiVectorMask(),
        Normalize(module_input_name="token_embeddings"),
    ]
    MultiVectorEncoder(modules=modules, device="cpu").save_pretrained(str(directory / "model"))
    return directory / "model"


def single_vector(directory: Path) -> Path:
    """A Qwen3-VL-Embedding-shaped model: the last token's state, of unit length."""
    backbone = plain(directory / "backbone", "qwen3_vl", EMBEDDING_TEMPLATE, base=True)
    modules = [
        Transformer(str(backbone)),
        Pooling(64, pooling_mode="lasttoken"),
        Normalize(),
    ]
    prompts = {"query": "Find the page: ", "document": ""}
    SentenceTransformer(modules=modules, device="cpu", prompts=prompts).save_pretrained(
        str(directory / "model")
    )
    return directory / "model"


def yes_no(directory: Path, *, template: str = RERANKER_TEMPLATE) -> Path:
    """A Qwen3-VL-Reranker-shaped model: the log-odds of yes against no at the last position."""
    backbone = plain(directory / "backbone", "qwen3_vl", template)
    transformer = Transformer(str(backbone), transformer_task="any-to-any")
    yes, no = (transformer.tokenizer.convert_tokens_to_ids(word) for word in ("yes", "no"))
    CrossEncoder(modules=[transformer, LogitScore(yes, no)], device="cpu").save_pretrained(
        str(directory / "model")
    )
    return directory / "model"


def score_head(directory: Path) -> Path:
    """A jina-reranker-m0-shaped model: a small head on the last token's state."""
    backbone = plain(directory / "backbone", "qwen2_vl", RERANKER_TEMPLATE, base=True)
    modules = [
        Transformer(str(backbone)),
        Pooling(64, pooling_mode="lasttoken"),
        _projection(1, "scores"),
    ]
    CrossEncoder(modules=modules, device="cpu").save_pretrained(str(directory / "model"))
    return directory / "model"


def page(text: str, *, width: int = 120, height: int = 160, colour: str = "white") -> Image.Image:
    """A small page with a line of text and a bar whose length depends on it."""
    image = Image.new("RGB", (width, height), colour)
    draw = ImageDraw.Draw(image)
    draw.text((8, 10), text, fill="black")
    draw.rectangle((8, 40, 8 + 9 * len(text) % (width - 16), 40 + len(text) % 60), fill="navy")
    return image


_BUILDERS: dict[str, Callable[[Path], Path]] = {
    "late": late_interaction,
    "late 2.5": lambda directory: late_interaction(directory, "qwen2_5_vl"),
    "single": single_vector,
    "yes/no": yes_no,
    "score head": score_head,
}
ENCODERS = ("late", "late 2.5", "single")
RERANKERS = ("yes/no", "score head")


@functools.cache
def built(name: str) -> Path:
    """A tiny checkpoint, built once a process; each of pytest's workers has its own, so none waits."""
    directory = Path(tempfile.mkdtemp(prefix="recto-tiny-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    with quiet():
        return _BUILDERS[name](directory)


def damaged(name: str, target: Path) -> Path:
    """A copy of a tiny checkpoint that a test may spoil."""
    return Path(shutil.copytree(built(name), target))


def colpali(directory: Path, family: str) -> Path:
    """A checkpoint in the layout of colpali-engine: the backbone's tensors and `custom_text_proj`."""
    plain(directory, family, "", base=True)
    torch.manual_seed(11)
    width = 320 if family == "qwen3_vl" else 128
    tensors = load_file(directory / "model.safetensors")
    tensors["custom_text_proj.weight"] = torch.randn(width, 64) / 4
    tensors["custom_text_proj.bias"] = torch.randn(width) / 8
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
    return directory
