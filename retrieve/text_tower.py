"""The network of the text tower: word pieces of one passage in, one unit vector out."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from domain.errors import ModelError

WEIGHTS = "model.safetensors"
CONFIG = "config.json"
TOKENIZER = "tokenizer.json"


@dataclass(frozen=True, slots=True)
class TextConfig:
    """The shape of a text tower and how page text is cut.

    Attributes:
        layers: transformer layers.
        hidden: width of every vector.
        heads: attention heads; divides `hidden`.
        inner: width inside the feed-forward part.
        vocab: word pieces of the tokenizer.
        max_tokens: word pieces a chunk, its title and the two marks included.
        title_tokens: at most this many word pieces of the document's title stand before each chunk.
        overlap: word pieces that two neighbouring chunks share.
    """

    layers: int = 3
    hidden: int = 384
    heads: int = 12
    inner: int = 1536
    vocab: int = 30522
    max_tokens: int = 128
    title_tokens: int = 24
    overlap: int = 16


class TextLayer(nn.Module):
    """A transformer layer with normalisation after each part, as in BERT."""

    def __init__(self, config: TextConfig) -> None:
        """Make the layer's weights."""
        super().__init__()
        self.heads = config.heads
        self.attend = nn.Linear(config.hidden, 3 * config.hidden)
        self.joined = nn.Linear(config.hidden, config.hidden)
        self.attended = nn.LayerNorm(config.hidden, eps=1e-12)
        self.widen = nn.Linear(config.hidden, config.inner)
        self.narrow = nn.Linear(config.inner, config.hidden)
        self.done = nn.LayerNorm(config.hidden, eps=1e-12)

    def forward(self, states: Tensor, seen: Tensor) -> Tensor:
        """Mix the tokens of each text; `seen` (n, 1, 1, t) is False at padding."""
        n, t, width = states.shape
        parts = self.attend(states).view(n, t, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(parts[0], parts[1], parts[2], attn_mask=seen)
        states = self.attended(states + self.joined(mixed.transpose(1, 2).reshape(n, t, width)))
        finished: Tensor = self.done(states + self.narrow(functional.gelu(self.widen(states))))
        return finished


class TextNetwork(nn.Module):
    """Mean of a small transformer's last states over a text's word pieces, of unit length."""

    def __init__(self, config: TextConfig) -> None:
        """Make random weights."""
        super().__init__()
        self.config = config
        self.words = nn.Embedding(config.vocab, config.hidden)
        self.places = nn.Embedding(config.max_tokens, config.hidden)
        self.start = nn.LayerNorm(config.hidden, eps=1e-12)
        self.layers = nn.ModuleList(TextLayer(config) for _ in range(config.layers))

    def forward(self, pieces: Tensor, lengths: Tensor) -> Tensor:
        """Embed texts.

        Args:
            pieces: (n, t) int64 word-piece ids, padded with anything; t at most `max_tokens`.
            lengths: (n,) int64, how many pieces of each row are real, at least 1.

        Returns:
            (n, hidden) float32, unit rows.
        """
        real = torch.arange(pieces.shape[1])[None] < lengths[:, None]
        states = self.start(self.words(pieces) + self.places.weight[: pieces.shape[1]])
        for layer in self.layers:
            states = layer(states, real[:, None, None])
        total = (states.float() * real[..., None]).sum(1) / lengths[:, None]
        return functional.normalize(total, dim=-1)


def batch_of(texts: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Pad word-piece ids to the longest: (n, t) ids and (n,) lengths."""
    lengths = torch.tensor([len(text) for text in texts])
    pieces = torch.zeros(len(texts), int(lengths.max()), dtype=torch.long)
    for row, text in enumerate(texts):
        pieces[row, : len(text)] = torch.tensor(text)
    return pieces, lengths


def packed(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Store each matrix as int8 with one float32 scale a row, the rest as float32."""
    stored: dict[str, Tensor] = {}
    for name, weight in weights.items():
        if weight.ndim == 2:
            scale = weight.abs().amax(1, keepdim=True).clamp(min=1e-12) / 127
            stored[f"{name}.int8"] = (weight / scale).round().to(torch.int8)
            stored[f"{name}.scale"] = scale.float()
        else:
            stored[name] = weight.float().contiguous()
    return stored


def unpacked(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Undo `packed`, up to its rounding."""
    weights: dict[str, Tensor] = {}
    for name, weight in stored.items():
        if name.endswith(".int8"):
            plain = name.removesuffix(".int8")
            weights[plain] = weight.float() * stored[f"{plain}.scale"]
        elif not name.endswith(".scale"):
            weights[name] = weight
    return weights


def save_network(network: TextNetwork, directory: Path) -> None:
    """Write the weights and the configuration, each under a temporary name first."""
    directory.mkdir(parents=True, exist_ok=True)
    held = directory / f"{WEIGHTS}.new"
    save_file(packed(network.state_dict()), held)
    held.replace(directory / WEIGHTS)
    (directory / CONFIG).write_text(json.dumps(asdict(network.config), indent=2) + "\n")


def load_network(directory: Path) -> tuple[TextNetwork, str]:
    """Read a text tower and the hash of its weights.

    Raises:
        ModelError: a file is missing or damaged, or the weights do not fit the configuration.
    """
    try:
        config = TextConfig(**json.loads((directory / CONFIG).read_text()))
        stored = load_file(directory / WEIGHTS)
        digest = hashlib.sha256((directory / WEIGHTS).read_bytes()).hexdigest()[:16]
        with torch.device("meta"):
            network = TextNetwork(config)
        network.load_state_dict(unpacked(stored), strict=True, assign=True)
    except (OSError, TypeError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise ModelError(
            f"the text tower in {directory} cannot be loaded ({error}); "
            "name a directory that `recto train text` wrote, or restore the one that ships"
        ) from error
    return network.eval(), digest
