"""Converts a colpali-engine checkpoint to the layout of sentence-transformers, and proves it the same."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import metadata, util
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from sentence_transformers import MultiVectorEncoder
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModel,
    AutoTokenizer,
    Qwen2_5_VLProcessor,
    Qwen2VLProcessor,
    Qwen2VLVideoProcessor,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)

from backbone import probe
from backbone.checkpoint import REPOSITORY
from backbone.strict import quiet
from domain.errors import ModelError
from domain.model import ModelSettings
from retrieve.adapters.st import load

TOLERANCE = 1e-4
"""How far the numbers of a converted model may be from colpali-engine's, both in float32."""

_MODELS: Any = AutoModel
_IMAGES: Any = AutoImageProcessor
_PROCESSORS: Mapping[str, tuple[Any, Any]] = {
    "qwen2_vl": (Qwen2VLProcessor, Qwen2VLVideoProcessor),
    "qwen2_5_vl": (Qwen2_5_VLProcessor, Qwen2VLVideoProcessor),
    "qwen3_vl": (Qwen3VLProcessor, Qwen3VLVideoProcessor),
}


@dataclass(frozen=True, slots=True)
class Conversion:
    """What was converted, and how far the result is from colpali-engine's own vectors (largest difference)."""

    source: str
    target: str
    family: str
    dim: int
    difference: float
    colpali_engine: str


def convert(source: Path | str, target: Path) -> Conversion:
    """Convert a checkpoint, or an adapter and its base, and accept the result only if its vectors agree.

    colpali-engine runs in a child process, because importing it changes how transformers reads and writes
    weights. The target appears whole or not at all.

    Args:
        source: a directory or `ORG/NAME` in the layout of colpali-engine.
        target: a directory that does not exist yet.

    Raises:
        ModelError: the target exists, colpali-engine is absent or cannot read the source, or the vectors
            of two pages and two queries differ by more than `TOLERANCE`.
    """
    if target.exists():
        raise ModelError(f"{target} exists; name a new directory for the converted model, or remove it")
    if util.find_spec("colpali_engine") is None:
        raise ModelError("converting needs colpali-engine; install it: pip install 'colpali-engine>=0.3.18'")
    _refuse_name(str(source))
    _refuse_family(Path(source))
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as scratch:
        parts = Path(scratch) / "parts"
        take_apart({str(source): parts})
        return finish(str(source), parts, target)


def take_apart(sources: Mapping[str, Path]) -> None:
    """Let colpali-engine, in one child process, write each source's parts and its own vectors of the probe.

    Args:
        sources: checkpoints, and the folder for the parts of each.

    Raises:
        ModelError: it cannot read one of them.
    """
    for parts in sources.values():
        parts.mkdir(parents=True)
    pairs = [word for source, parts in sources.items() for word in (source, str(parts))]
    command = [sys.executable, "-m", "retrieve.adapters.colpali", *pairs]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = [line for line in done.stderr.strip().splitlines() if line.strip()]
        reason = lines[-1] if lines else "no reason given"
        raise ModelError(f"colpali-engine could not read {', '.join(sources)}: {reason}")


def finish(source: str, parts: Path, target: Path) -> Conversion:
    """Put the parts together in the layout of sentence-transformers, and accept that if its vectors agree.

    Raises:
        ModelError: the vectors differ; the target does not appear.
    """
    record = json.loads((parts / "record.json").read_text(encoding="utf-8"))
    partial = parts / "model"
    with quiet():
        _assemble(parts, record, partial)
    difference = agree(partial, parts / "reference.npz")
    width = load_file(parts / "head.safetensors")["weight"].shape[0]
    version = metadata.version("colpali-engine")
    made = Conversion(source, str(target), record["family"], width, difference, version)
    (partial / "conversion.json").write_text(json.dumps(asdict(made), indent=2), encoding="utf-8")
    shutil.move(partial, target)
    return made


def agree(model: Path, reference: Path) -> float:
    """How far a converted model's vectors of the probe are from the reference, at most.

    Args:
        model: a directory that loads as an encoder.
        reference: an .npz of `page0`, `page1`, `query0`, `query1`: (tokens, dim) unit rows.

    Raises:
        ModelError: another number of tokens, or a difference above `TOLERANCE`.
    """
    encoder = load(str(model), settings=ModelSettings(device="cpu", dtype="float32"))
    ours = {f"page{i}": encoder.pages([page])[0].rows for i, page in enumerate(probe.pages())}
    questions = [pair.question for pair in probe.PAIRS]
    ours.update({f"query{i}": encoder.queries([text])[0].rows for i, text in enumerate(questions)})
    largest = 0.0
    with np.load(reference) as theirs:
        for name, rows in ours.items():
            expected = theirs[name]
            if rows.shape != expected.shape:
                raise ModelError(
                    f"the converted model gives {rows.shape[0]} vectors for {name}, colpali-engine "
                    f"{expected.shape[0]}; it was not accepted"
                )
            largest = max(largest, float(np.abs(rows - expected).max()))
    if not largest <= TOLERANCE:
        raise ModelError(
            f"the converted model's vectors differ from colpali-engine's by {largest:.2g}, above "
            f"{TOLERANCE:g}; "
            "it was not accepted"
        )
    return largest


def _refuse_name(source: str) -> None:
    if not Path(source).is_dir() and not REPOSITORY.fullmatch(source):
        raise ModelError(f"{source!r} is neither a directory on this machine nor a repository ORG/NAME")


def _refuse_family(source: Path) -> None:
    """A local directory of a family that is not known is refused before colpali-engine is started."""
    if not (source / "config.json").is_file() or (source / "adapter_config.json").exists():
        return
    family = json.loads((source / "config.json").read_text(encoding="utf-8")).get("model_type")
    if family not in _PROCESSORS:
        raise ModelError(f"{source} is a {family} model; recto converts {', '.join(_PROCESSORS)}")


def _assemble(parts: Path, record: Mapping[str, Any], target: Path) -> None:
    """Write the sentence-transformers layout: backbone, projection, mask, normalisation."""
    family = str(record["family"])
    backbone = parts / "backbone"
    config = AutoConfig.for_model(family, **record["config"])
    with torch.device("meta"):
        model = _MODELS.from_config(config, dtype=getattr(torch, record["dtype"]))
    model.load_state_dict(load_file(parts / "backbone.safetensors"), strict=True, assign=True)
    model.save_pretrained(backbone)
    processing, video = _PROCESSORS[family]
    images = _IMAGES.from_pretrained(parts / "images")
    tokenizer: Any = AutoTokenizer.from_pretrained(parts / "tokenizer")
    processing(
        image_processor=images,
        tokenizer=tokenizer,
        video_processor=video(patch_size=images.patch_size),
        chat_template=template(record),
    ).save_pretrained(backbone)
    head = load_file(parts / "head.safetensors")
    projection = Dense(
        head["weight"].shape[1],
        head["weight"].shape[0],
        activation_function=torch.nn.Identity(),
        init_weight=head["weight"],
        init_bias=head["bias"],
        module_input_name="token_embeddings",
    )
    kept = [int(tokenizer.convert_tokens_to_ids(record["image_token"]))] if record["image_only"] else None
    modules = [
        Transformer(str(backbone), model_kwargs={"dtype": getattr(torch, record["dtype"])}),
        projection,
        MultiVectorMask(keep_only_token_ids=kept),
        Normalize(module_input_name="token_embeddings"),
    ]
    MultiVectorEncoder(modules=modules, device="cpu").save_pretrained(str(target))


def template(record: Mapping[str, Any]) -> str:
    """A chat template that writes a page and a query as colpali-engine does.

    Args:
        record: `page`, the visual prompt; `query_prefix` and `query_suffix`, around a query's text.
    """
    page, before, after = (json.dumps(record[key]) for key in ("page", "query_prefix", "query_suffix"))
    return (
        "{%- for message in messages -%}{%- for part in message.content -%}"
        "{%- if part.type == 'image' -%}{{ " + page + " }}"
        "{%- elif task is defined and task == 'query' -%}{{ " + before + " + part.text + " + after + " }}"
        "{%- else -%}{{ part.text }}{%- endif -%}"
        "{%- endfor -%}{%- endfor -%}"
    )
