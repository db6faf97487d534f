"""The built-in cross-encoder's network: question words and page words attend to each other in every layer."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from backbone.transformer import Layer, lookup
from rerank.builtin.signals import SIGNALS, Pairs, Signals, signals

LOOKS = 6
"""Numbers that say where a token stands on the page and how well it fits the other side."""

HEADING = 8
"""The first words of a page, those about its document before them, that are always read."""


@dataclass(frozen=True, slots=True)
class RerankConfig:
    """The sizes of the reranker; stored beside its weights.

    Attributes:
        width: of the table of word pieces, which belongs to the text tower.
        hidden: width of the transformer.
        layers: transformer layers.
        heads: attention heads; divides `hidden`.
        inner: width inside the feed-forward part.
        question_words: words of a question that are read.
        page_words: words of a page that the transformer reads; the signals see all of them.
        tokens: word pieces of a pair at most; what exceeds them is cut off.
    """

    width: int = 384
    hidden: int = 384
    layers: int = 6
    heads: int = 12
    inner: int = 1536
    question_words: int = 24
    page_words: int = 96
    tokens: int = 192


class RerankNetwork(nn.Module):
    """One logit for a question and a page."""

    table: Tensor

    def __init__(self, config: RerankConfig, table: Tensor) -> None:
        """Make random weights; the transformer has no say before it is trained.

        Args:
            config: the sizes.
            table: (pieces, width), vectors of word pieces; not trained and not stored with the weights.
        """
        super().__init__()
        self.config = config
        self.register_buffer("table", table, persistent=False)
        fits = config.width == config.hidden
        self.lift = nn.Identity() if fits else nn.Linear(config.width, config.hidden)
        self.side = lookup(2, config.hidden)
        self.places = lookup(config.tokens, config.hidden)
        self.look = nn.Linear(LOOKS, config.hidden)
        self.start = nn.LayerNorm(config.hidden, eps=1e-12)
        self.layers = nn.ModuleList(
            Layer(config.hidden, config.heads, config.inner) for _ in range(config.layers)
        )
        last = nn.Linear(64, 1)
        self.verdict = nn.Sequential(nn.Linear(2 * config.hidden, 64), nn.GELU(), last)
        self.weigh = nn.Sequential(nn.Linear(SIGNALS, 48), nn.GELU(), nn.Linear(48, 1))
        for weight in (self.side.weight, self.look.weight, last.weight):
            nn.init.zeros_(weight)

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
        """What the opening mark and the question's pieces know after the last layer: (b, 2 hidden)."""
        chosen, kept = _densest(found, pairs.shown, self.config.page_words)
        pieces, looks, sides = _in_a_row(
            pairs.asked_pieces,
            _asked_looks(found, rarity),
            _pick(pairs.shown_pieces, chosen).masked_fill(~kept[..., None], -1),
            _shown_looks(found, _pick(pairs.boxes, chosen), chosen),
        )
        there = pieces >= 0
        order = (~there).to(torch.uint8).argsort(dim=-1, stable=True)
        order = order[:, : min(self.config.tokens, int(there.sum(-1).max()))]
        pieces, there, sides = pieces.gather(1, order), there.gather(1, order), sides.gather(1, order)
        words = self.lift(functional.embedding(pieces.clamp(min=0), self.table))
        own = self.side(sides) + self.places.weight[: order.shape[1]] + self.look(_pick(looks, order))
        states = self.start(words + own)
        for layer in self.layers:
            states = layer(states, there[:, None, None])
        asking = ((sides == 0) & there)[..., None].to(states.dtype)
        summed = torch.cat([states[:, 0], (states * asking).sum(1) / asking.sum(1)], -1)
        return summed.float()


def _densest(found: Signals, shown: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """The page's first words, and those around which the question's words stand densest, in reading order."""
    most = min(most, shown.shape[1])
    order = torch.arange(shown.shape[1], device=shown.device)
    nearby = found.nearby - order * 1e-6 + 9.0 * (order < HEADING)  # the earlier of two equals
    chosen = nearby.masked_fill(~shown, -1.0).topk(most, dim=-1).indices.sort(-1).values
    return chosen, shown.gather(1, chosen)


def _pick(rows: Tensor, chosen: Tensor) -> Tensor:
    return rows.gather(1, chosen[..., None].expand(-1, -1, rows.shape[-1]))


def _in_a_row(
    asked: Tensor, asked_looks: Tensor, shown: Tensor, shown_looks: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Question, then page: pieces (b, t), their looks (b, t, LOOKS), and 0 for question, 1 for page.

    The question's row begins with the opening mark and ends with the closing one.
    """
    pieces = torch.cat([asked.flatten(1), shown.flatten(1)], 1)
    looks = torch.cat(
        [
            asked_looks.repeat_interleave(asked.shape[-1], 1),
            shown_looks.repeat_interleave(shown.shape[-1], 1),
        ],
        1,
    )
    sides = torch.cat([torch.zeros_like(asked.flatten(1)), torch.ones_like(shown.flatten(1))], 1)
    return pieces, looks, sides


def _asked_looks(found: Signals, rarity: Tensor) -> Tensor:
    own = torch.stack([found.best, rarity * 5], -1)
    empty = own.new_zeros(own.shape[0], 1, LOOKS)
    own = torch.cat([own, own.new_zeros(*own.shape[:2], LOOKS - 2)], -1)
    return torch.cat([empty, own, empty], 1)


def _shown_looks(found: Signals, boxes: Tensor, chosen: Tensor) -> Tensor:
    """(b, m, LOOKS): best fit, density, and the word's place, height and width."""
    return torch.stack(
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
