"""What similarities of question words and page words say by themselves: matches, nearness, phrases."""

from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional

KERNELS = (1.0, 0.9, 0.75, 0.6, 0.45)
WINDOWS = (7, 25, 75)
HEAD = 20
SIGNALS = 2 * len(KERNELS) + len(WINDOWS) + 10


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Questions beside pages, padded; made by `rerank.builtin.pairs`.

    Attributes:
        words: (b, q, dim) float32 unit rows, zero at padding.
        worth: (b, q) float32, how much each word of the question tells, zero at padding.
        asked: (b, q) bool, False at padding.
        asked_pieces: (b, q + 2, MOST) int64 word pieces of marks and words, -1 for none.
        cells: (b, p, dim) float32 unit rows in reading order, zero at padding.
        boxes: (b, p, 4) float32 in fractions of the page.
        shown: (b, p) bool, False at padding.
        shown_pieces: (b, p, MOST) int64 word pieces, -1 for none.
    """

    words: Tensor
    worth: Tensor
    asked: Tensor
    asked_pieces: Tensor
    cells: Tensor
    boxes: Tensor
    shown: Tensor
    shown_pieces: Tensor

    def to(self, device: torch.device) -> "Pairs":
        """The same on another device."""
        return Pairs(*(getattr(self, one.name).to(device) for one in fields(self)))


@dataclass(frozen=True, slots=True, eq=False)
class Signals:
    """Similarities, boiled down.

    Attributes:
        values: (b, SIGNALS) float32.
        best: (b, q), each question word's best similarity on the page.
        fit: (b, p), each page word's best similarity to a question word, weighted by that word's rarity.
        nearby: (b, p), how much of the question stands within a few words.
    """

    values: Tensor
    best: Tensor
    fit: Tensor
    nearby: Tensor


def signals(pairs: Pairs, rarity: Tensor) -> Signals:
    """Compare every question word with every page word.

    Args:
        pairs: the batch.
        rarity: (b, q), how much each question word counts; sums to 1 a question, 0 at padding.

    Source of the kernels: Xiong et al., SIGIR 2017 (soft term frequency).
    """
    likeness = (pairs.words @ pairs.cells.transpose(1, 2)).float()
    likeness = likeness.masked_fill(~pairs.shown[:, None], 0.0).clamp(0.0, 1.0)
    best = likeness.amax(-1)
    counts = torch.stack([_softly(likeness, centre, pairs.shown) for centre in KERNELS], -1)
    weighed = rarity[..., None]
    sharp = likeness.pow(4)
    near = [_within(sharp, rarity, width) for width in WINDOWS]
    values = torch.cat(
        [
            (torch.log1p(counts) * weighed).sum(1),
            (counts.clamp(max=1.0) * weighed).sum(1),
            torch.stack([one.amax(-1) for one in near], -1),
            _summary(pairs, best, rarity, sharp),
        ],
        -1,
    )
    return Signals(values, best, (sharp * weighed).amax(1), near[1])


def _softly(likeness: Tensor, centre: float, shown: Tensor) -> Tensor:
    """How often, softly, each question word stands on the page at about this similarity: (b, q)."""
    width = 0.02 if centre == 1.0 else 0.07
    near = torch.exp(-((likeness - centre) ** 2) / (2 * width * width))
    return (near * shown[:, None]).sum(-1)


def _within(sharp: Tensor, rarity: Tensor, width: int) -> Tensor:
    """The share of the question that stands within a window around each page word: (b, p)."""
    pooled = functional.max_pool1d(sharp, width, stride=1, padding=width // 2)
    return (pooled * rarity[..., None]).sum(1)


def _summary(pairs: Pairs, best: Tensor, rarity: Tensor, sharp: Tensor) -> Tensor:
    """Ten numbers: coverage, missing words, phrases, the page's head and headings, lengths."""
    asked, shown = pairs.asked, pairs.shown
    heights = (pairs.boxes[..., 3] - pairs.boxes[..., 1]) * shown
    usual = heights.sum(-1, keepdim=True) / shown.sum(-1, keepdim=True).clamp(min=1)
    large = (heights > 1.4 * usual)[:, None]
    pair = sharp[:, :-1, :-1] * sharp[:, 1:, 1:]
    phrase = functional.pad(pair.flatten(2).amax(-1), (0, 1)) if pair.numel() else torch.zeros_like(best)
    rarest = (rarity * (1 - best.pow(4))).amax(-1)
    return torch.stack(
        [
            (rarity * best).sum(-1),
            (rarity * best.pow(4)).sum(-1),
            (rarity * torch.sigmoid((best - 0.85) * 30)).sum(-1),
            rarest,
            (rarity * phrase).sum(-1),
            (phrase * asked).sum(-1) / asked.sum(-1).clamp(min=1),
            (rarity * sharp[..., :HEAD].amax(-1)).sum(-1),
            (rarity * (sharp * large).amax(-1)).sum(-1),
            torch.log1p(shown.sum(-1).float()) / 7,
            torch.log1p(asked.sum(-1).float()) / 3,
        ],
        -1,
    )
