"""Stage one: every place must name the word that it shows, and every word must find its places."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from domain import words
from retrieve.builtin.network import STRIDE_PX, PageTower, WordTower, ink
from training.sample import LETTER_CLASSES, Sample

SMALLEST_PX, LARGEST_PX = 7.5, 30.0
"""Font sizes that one level of the page reads; others belong to another level."""


@dataclass(slots=True)
class Targets:
    """What a batch of pictures should say.

    Attributes:
        pages: (b, 1, h, w) about -0.5 to 0.5, ink positive on white paper.
        places: (n, 3) picture, row and column of every word's centre; `texts` are the words.
        sizes: (n, 2) log of the word's width and height over 8 px.
        centred: (b, h/8, w/8) 1 where a word is centred, 0 where none is, -1 where it does not matter.
        letters: (m, 4) picture, row, column at (8, 4) px and the letter's class.
    """

    pages: Tensor
    places: Tensor
    texts: list[str]
    sizes: Tensor
    centred: Tensor
    letters: Tensor

    def to(self, device: torch.device) -> "Targets":
        """The same on another device."""
        moved = {
            name: getattr(self, name).to(device)
            for name in ("pages", "places", "sizes", "centred", "letters")
        }
        return replace(self, **moved)


def targets(samples: Sequence[Sample], rng: random.Random) -> Targets:
    """Lay the targets of pictures of one size over the feature map."""
    pages = torch.stack([ink(torch.from_numpy(sample.image)) for sample in samples])[:, None]
    rows, columns = pages.shape[2] // STRIDE_PX, pages.shape[3] // STRIDE_PX
    centred = np.zeros((len(samples), rows, columns), np.float32)
    places, sizes, texts, letters = [], [], [], []
    for number, sample in enumerate(samples):
        found = _words(sample, centred[number])
        for index, row, column in found:
            x0, y0, x1, y1 = sample.boxes[index]
            places.append((number, row, column))
            sizes.append((np.log(max(x1 - x0, 2.0) / STRIDE_PX), np.log(max(y1 - y0, 2.0) / STRIDE_PX)))
            texts.append(sample.words[index])
        letters.append(_letters(sample, number, (rows, columns * 2), rng))
    return Targets(
        pages.contiguous(memory_format=torch.channels_last),
        torch.tensor(places, dtype=torch.long).reshape(-1, 3),
        texts,
        torch.tensor(np.array(sizes, np.float32).reshape(-1, 2)),
        torch.from_numpy(centred),
        torch.from_numpy(np.concatenate(letters)),
    )


def _words(sample: Sample, centred: np.ndarray) -> list[tuple[int, int, int]]:
    high, wide = centred.shape[0] * STRIDE_PX, centred.shape[1] * STRIDE_PX
    found = []
    for index, (x0, y0, x1, y1) in enumerate(sample.boxes):
        top, bottom = max(0, int(y0 / STRIDE_PX)), int(y1 / STRIDE_PX) + 1
        left, right = max(0, int(x0 / STRIDE_PX)), int(x1 / STRIDE_PX) + 1
        x, y = (x0 + x1) / 2, (y0 + y1) / 2
        row, column = int(y / STRIDE_PX), int(x / STRIDE_PX)
        inside = x0 >= -1 and y0 >= -2 and x1 <= wide + 1 and y1 <= high + 2
        if inside and SMALLEST_PX <= sample.sizes[index] <= LARGEST_PX and y < high and x < wide:
            found.append((index, row, column))
            area = centred[row, max(left, column - 1) : min(right, column + 2)]
        else:
            area = centred[top:bottom, left:right]
        area[area == 0] = -1
    for _, row, column in found:
        centred[row, column] = 1
    return found


def _letters(sample: Sample, number: int, grid: tuple[int, int], rng: random.Random) -> np.ndarray:
    rows, columns = grid
    place = (sample.letters[:, :2] / np.array([STRIDE_PX / 2, STRIDE_PX], np.float32)).astype(np.int64)
    inside = (place[:, 0] >= 0) & (place[:, 0] < columns) & (place[:, 1] >= 0) & (place[:, 1] < rows)
    place, codes = place[inside], sample.letters[inside, 2].astype(np.int64)
    taken = np.zeros((rows, columns), bool)
    for shift in (-1, 0, 1):
        taken[place[:, 1], np.clip(place[:, 0] + shift, 0, columns - 1)] = True
    empty = np.argwhere(~taken)
    chosen = np.random.default_rng(rng.getrandbits(32)).permutation(len(empty))[:150]
    background = np.c_[np.full(len(chosen), number), empty[chosen], np.full(len(chosen), LETTER_CLASSES - 1)]
    shown = np.c_[np.full(len(place), number), place[:, 1], place[:, 0], codes]
    return np.concatenate([shown, background]).astype(np.int64)


def bags(texts: Sequence[str], buckets: int) -> tuple[Tensor, Tensor]:
    """The hashed n-grams of many words, and where each word's begin."""
    hashed = [words.grams(text, buckets) for text in texts]
    starts = np.cumsum([0, *(len(entry) for entry in hashed[:-1])])
    return torch.tensor([value for entry in hashed for value in entry]), torch.from_numpy(starts)


@dataclass(slots=True)
class Losses:
    """The parts of stage one's loss, and the share of places that named their word."""

    naming: Tensor
    finding: Tensor
    likeness: Tensor
    centring: Tensor
    extent: Tensor
    letters: Tensor
    rarity: Tensor
    accuracy: float
    lettering: float

    @property
    def total(self) -> Tensor:
        """The weighted sum that is minimised."""
        return (
            self.naming + 0.5 * self.finding + 2.0 * self.likeness + 2.0 * self.centring
            + 0.2 * self.extent + 1.5 * self.letters + 0.3 * self.rarity
        )  # fmt: skip


class Spotter(nn.Module):
    """Both towers, a learned temperature, and the loss that joins them."""

    def __init__(self, page: PageTower, word: WordTower, buckets: int) -> None:
        super().__init__()
        self.page, self.word, self.buckets = page, word, buckets
        self.sharpness = nn.Parameter(torch.tensor(2.7))

    def forward(self, target: Targets, negatives: Sequence[str], rare: Tensor) -> Losses:
        """Score a batch against its own words and the negatives; `rare` is each shown word's rarity."""
        strokes, features, places = self.page(target.pages)
        at = target.places
        vectors, looks = self.page.vectors(features[at[:, 0], :, at[:, 1], at[:, 2]])
        distinct = {text: number for number, text in enumerate(dict.fromkeys(target.texts))}
        others = [text for text in negatives if text and text not in distinct]
        grams, starts = bags([*distinct, *dict.fromkeys(others)], self.buckets)
        table = self.word(grams.to(vectors.device), starts.to(vectors.device))
        with torch.autocast(vectors.device.type, enabled=False):  # bf16 scores would tie
            scores = vectors @ table.T * self.sharpness.exp().clamp(max=14.0)
        answer = torch.tensor([distinct[text] for text in target.texts], device=vectors.device)
        naming, finding = _both_ways(scores, answer, len(distinct), rare)
        guess = places[at[:, 0], 1:, at[:, 1], at[:, 2]].float()
        spelled = self._spelled(strokes, target.letters)
        unlike = (1 - (vectors * table[answer].detach()).sum(1)).mean()
        return Losses(
            naming, finding, unlike, _centring(places[:, 0].float(), target.centred),
            functional.smooth_l1_loss(guess, target.sizes), functional.cross_entropy(spelled, target.letters[:, 3]),
            functional.smooth_l1_loss(looks, rare), float((scores.argmax(1) == answer).float().mean()),
            float((spelled.argmax(1) == target.letters[:, 3]).float().mean()),
        )  # fmt: skip

    def _spelled(self, strokes: Tensor, letters: Tensor) -> Tensor:
        if self.page.letters is None:
            raise ValueError("the page tower was built without the letter task")
        shown: Tensor = self.page.letters(strokes[letters[:, 0], :, letters[:, 1], letters[:, 2]])
        return shown.float()


def _both_ways(scores: Tensor, answer: Tensor, distinct: int, rare: Tensor) -> tuple[Tensor, Tensor]:
    weight = 0.3 + rare
    naming = (functional.cross_entropy(scores, answer, reduction="none") * weight).sum() / weight.sum()
    turned = scores[:, :distinct].T
    right = answer[None, :] == torch.arange(distinct, device=answer.device)[:, None]
    best = turned.masked_fill(~right, -1e4).logsumexp(1)
    return naming, (turned.logsumexp(1) - best).mean()


def _centring(logits: Tensor, centred: Tensor) -> Tensor:
    counts = centred >= 0
    return functional.binary_cross_entropy_with_logits(logits[counts], centred[counts])
