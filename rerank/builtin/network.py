"""The built-in cross-encoder's network: question words and page words attend to each other in every layer."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from rerank.builtin.signals import SIGNALS, Pairs, Signals, signals

LOOKS = 6
"""Numbers that say where a token stands on the page and how well it fits the other side."""


@dataclass(frozen=True, slots=True)
class RerankConfig:
    """The sizes of the reranker; stored beside its weights.

    Attributes:
        hidden: width of the transformer.
        layers: transformer layers.
        heads: attention heads; divides `hidden`.
        inner: width inside the feed-forward part.
        question_words: words of a question that are read.
        page_words: words of a page that the transformer reads; the signals see all of them.
    """

    hidden: int = 96
    layers: int = 2
    heads: int = 4
    inner: int = 256
    question_words: int = 24
    page_words: int = 64

    @property
    def tokens(self) -> int:
        """Tokens of a pair at most: one that sums up, the question, the page."""
        return 1 + self.question_words + self.page_words


class Layer(nn.Module):
    """A transformer layer in which similarity of the encoder's own vectors draws attention."""

    def __init__(self, config: RerankConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.attend = nn.Linear(config.hidden, 3 * config.hidden)
        self.joined = nn.Linear(config.hidden, config.hidden)
        self.attended = nn.LayerNorm(config.hidden, eps=1e-12)
        self.widen = nn.Linear(config.hidden, config.inner)
        self.narrow = nn.Linear(config.inner, config.hidden)
        self.done = nn.LayerNorm(config.hidden, eps=1e-12)
        self.draw = nn.Parameter(torch.linspace(0.0, 6.0, config.heads))

    def forward(self, states: Tensor, likeness: Tensor, hidden: Tensor) -> Tensor:
        """Mix (b, t, hidden) states; likeness (b, t, t) draws, hidden (b, 1, 1, t) is -inf at padding."""
        b, t, width = states.shape
        parts = self.attend(states).view(b, t, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        bias = likeness[:, None] * self.draw[:, None, None] + hidden
        mixed = functional.scaled_dot_product_attention(
            parts[0], parts[1], parts[2], attn_mask=bias.to(parts.dtype)
        )
        states = self.attended(states + self.joined(mixed.transpose(1, 2).reshape(b, t, width)))
        finished: Tensor = self.done(states + self.narrow(functional.gelu(self.widen(states))))
        return finished


class RerankNetwork(nn.Module):
    """One logit for a question and a page."""

    def __init__(self, config: RerankConfig) -> None:
        """Make random weights; the transformer has no say before it is trained."""
        super().__init__()
        self.config = config
        self.side = nn.Embedding(3, config.hidden)
        self.places = nn.Embedding(config.tokens, config.hidden)
        self.look = nn.Linear(LOOKS, config.hidden)
        self.start = nn.LayerNorm(config.hidden, eps=1e-12)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.verdict = nn.Linear(config.hidden, 1)
        self.weigh = nn.Sequential(nn.Linear(SIGNALS, 48), nn.GELU(), nn.Linear(48, 1))
        nn.init.zeros_(self.verdict.weight)

    def forward(self, pairs: Pairs, *, deep: bool = True) -> Tensor:
        """Score pairs: (b,) float32 logits, each of its own pair alone.

        Args:
            pairs: the batch.
            deep: False leaves the transformer out, as the first steps of training do.
        """
        rarity = pairs.worth / pairs.worth.sum(-1, keepdim=True).clamp(min=1e-6)
        found = signals(pairs, rarity)
        weighed: Tensor = self.weigh(found.values).squeeze(-1).float()
        if not deep:
            return weighed
        verdict: Tensor = self.verdict(self._read(pairs, found, rarity)).squeeze(-1).float()
        return weighed + verdict

    def _read(self, pairs: Pairs, found: Signals, rarity: Tensor) -> Tensor:
        """What the summing token knows after the last layer: (b, hidden)."""
        chosen, kept = _densest(found, pairs.shown, self.config.page_words)
        b, q = pairs.asked.shape
        most = chosen.shape[1]
        vectors = torch.cat(
            [pairs.words.new_zeros(b, 1, pairs.words.shape[-1]), pairs.words, _pick(pairs.cells, chosen)], 1
        )
        there = torch.cat([pairs.asked.new_ones(b, 1), pairs.asked, kept], 1)
        sides = torch.tensor([0] + [1] * q + [2] * most)
        places = torch.cat([torch.arange(q + 1), 1 + self.config.question_words + torch.arange(most)])
        looks = _looks(found, rarity, _pick(pairs.boxes, chosen), chosen)
        states = self.start(self.side(sides) + self.places(places) + self.look(looks))
        likeness = vectors @ vectors.transpose(1, 2)
        hidden = torch.zeros(there.shape).masked_fill(~there, -1e4)[:, None, None]
        for layer in self.layers:
            states = layer(states, likeness, hidden)
        summed: Tensor = states[:, 0].float()
        return summed


def _densest(found: Signals, shown: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """The page words around which the question's words stand densest, in reading order."""
    most = min(most, shown.shape[1])
    order = torch.arange(shown.shape[1]) * 1e-6  # the earlier of two equals, whatever the padding
    nearby = (found.nearby - order).masked_fill(~shown, -1.0)
    chosen = nearby.topk(most, dim=-1).indices.sort(-1).values
    return chosen, shown.gather(1, chosen)


def _pick(rows: Tensor, chosen: Tensor) -> Tensor:
    return rows.gather(1, chosen[..., None].expand(-1, -1, rows.shape[-1]))


def _looks(found: Signals, rarity: Tensor, boxes: Tensor, chosen: Tensor) -> Tensor:
    """(b, 1 + q + p, LOOKS): best fit, density, and for page words the place and height."""
    b, q = found.best.shape
    own = torch.stack([found.best, rarity * 5], -1)
    asked = torch.cat([own, found.best.new_zeros(b, q, LOOKS - 2)], -1)
    place = torch.stack(
        [
            found.fit.gather(1, chosen),
            found.nearby.gather(1, chosen),
            (boxes[..., 0] + boxes[..., 2]) / 2,
            (boxes[..., 1] + boxes[..., 3]) / 2,
            (boxes[..., 3] - boxes[..., 1]) * 20,
            (boxes[..., 2] - boxes[..., 0]) * 5,
        ],
        -1,
    )
    return torch.cat([found.best.new_zeros(b, 1, LOOKS), asked, place], 1)


def has_tiles() -> bool:
    """Whether this processor multiplies bfloat16 matrices in tiles; elsewhere float32 is faster."""
    return bool(torch.cpu.get_capabilities().get("amx_bf16", False))
