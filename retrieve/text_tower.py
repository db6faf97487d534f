"""The network of the text tower: word pieces of one passage in, one unit vector out."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from backbone.transformer import Layer, lookup
from domain.errors import ModelError
from domain.packing import packed, unpacked

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


class TextNetwork(nn.Module):
    """Mean of a small transformer's last states over a text's word pieces, of unit length."""

    def __init__(self, config: TextConfig) -> None:
        """Make random weights."""
        super().__init__()
        self.config = config
        self.words = lookup(config.vocab, config.hidden)
        self.places = lookup(config.max_tokens, config.hidden)
        self.start = nn.LayerNorm(config.hidden, eps=1e-12)
        self.layers = nn.ModuleList(
            Layer(config.hidden, config.heads, config.inner) for _ in range(config.layers)
        )

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return self.places.weight.device

    def forward(self, pieces: Tensor, lengths: Tensor) -> Tensor:
        """Embed texts.

        Args:
            pieces: (n, t) int64 word-piece ids, padded with anything; t at most `max_tokens`.
            lengths: (n,) int64, how many pieces of each row are real, at least 1.

        Returns:
            (n, hidden) float32, unit rows, on the network's device.
        """
        places = self.places.weight[: pieces.shape[1]]
        pieces, lengths = pieces.to(self.device), lengths.to(self.device)
        real = torch.arange(len(places), device=self.device)[None] < lengths[:, None]
        states = self.start(self.words(pieces) + places)
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


def save_network(network: TextNetwork, directory: Path) -> None:
    """Write the weights and the configuration, each under a temporary name first."""
    directory.mkdir(parents=True, exist_ok=True)
    held = directory / f"{WEIGHTS}.new"
    save_file(packed({name: weight.detach().numpy() for name, weight in network.state_dict().items()}), held)
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
        weights = {name: torch.from_numpy(weight) for name, weight in unpacked(stored).items()}
        network.load_state_dict(weights, strict=True, assign=True)
    except (OSError, TypeError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise ModelError(
            f"the text tower in {directory} cannot be loaded ({error}); "
            "name a directory that `recto train text` wrote, or restore the one that ships"
        ) from error
    return network.eval(), digest
