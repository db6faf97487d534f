"""One process of an encoder training run: batches, steps, averaging, checkpoints."""

import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn

from backbone.device import place
from backbone.transformer import quick
from domain.model import ModelSettings
from retrieve.builtin.network import PageTower, Shape, WordTower, ink
from training.crops import Crops, crops_of
from training.encoder_config import EncoderConfig
from training.encoder_start import begin
from training.sample import LETTER_CLASSES
from training.spotting import Losses, Spotter, Targets, targets
from training.texts import contexts, document_frequencies, invented, mutated, rarity

STATISTICS = 48
"""Pictures that say how a finished tower's activations are spread."""


@dataclass(slots=True)
class Lexicon:
    """How often each word stands in the training text."""

    counts: Counter[str]
    total: int
    common: list[str]

    def rarity(self, texts: list[str]) -> Tensor:
        """(n,) from 0, everywhere, to 1, never seen."""
        return torch.tensor([rarity(self.counts[text], self.total) for text in texts])


class Trainer:
    """One process of a training run."""

    def __init__(self, config: EncoderConfig, rank: int) -> None:
        torch.manual_seed(config.seed)
        torch.set_num_threads(1)
        self.config, self.rank, self.step = config, rank, 0
        passages = self.passages = contexts(config.text) if config.text else invented(config.seed)
        self.crops: Crops = crops_of(config, passages, [])
        self.lexicon = lexicon(config, self.crops, [passage.everything for passage in passages])
        self.crops.source.rare = self.lexicon.common[-len(self.lexicon.common) // 2 :]
        self.shape, page, word = self._towers()
        self.model = Spotter(page, word, self.shape.buckets)
        self.device = torch.device(place(ModelSettings(device=config.device)).device)
        self.model.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch types lack it
        dense = [*self.model.page.parameters(), self.model.sharpness]
        self.optimisers: list[torch.optim.Optimizer] = [
            torch.optim.AdamW(dense, lr=config.rate, betas=(0.9, 0.98), weight_decay=0.01)
        ]
        if not config.start:
            table = list(self.model.word.parameters())
            self.optimisers.append(torch.optim.SparseAdam(table, lr=config.table_rate, betas=(0.9, 0.98)))
        self.base = [config.rate, config.table_rate][: len(self.optimisers)]
        self.smooth = {name: value.clone() for name, value in self.model.state_dict().items()}

    def _towers(self) -> tuple[Shape, PageTower, WordTower]:
        config = self.config
        if not config.start:
            return config.shape, PageTower(config.shape, LETTER_CLASSES), WordTower(config.shape)
        rng = random.Random(f"{config.seed} start")
        drawn = [self.crops.draw(rng, fresh=True).image for _ in range(STATISTICS)]
        return begin(config.start, [ink(torch.from_numpy(image))[None, None] for image in drawn])

    def batch(self, rng: random.Random, *, fresh: bool = False) -> tuple[Targets, list[str]]:
        """The pictures of a step, all newly drawn where `fresh`, and words to tell theirs from."""
        texts: list[str] = []
        while len(texts) < 8:
            target = targets([self.crops.draw(rng, fresh=fresh) for _ in range(self.config.crops)], rng)
            texts = target.texts
        shown = [rng.choice(target.texts) for _ in range(self.config.near)]
        near = [mutated(text, rng) for text in shown]
        return target, near + rng.choices(self.lexicon.common, k=self.config.negatives)

    def advance(self) -> Losses:
        """Take one step; every process of the run ends with the same weights."""
        config = self.config
        rng = random.Random(f"{config.seed} {self.rank} {self.step}")
        self._schedule()
        for _ in range(config.accumulate):
            target, negatives = self.batch(rng)
            with quick(self.device.type):
                losses = self._losses(target, negatives)
            (losses.total / config.accumulate).backward()
        nn.utils.clip_grad_norm_(self.model.page.parameters(), 2.0)
        for optimiser in self.optimisers:
            optimiser.step()
            optimiser.zero_grad()
        self.step += 1
        if self.step % config.meet_every == 0 or self.step == config.steps:
            self._meet()
        return losses

    def _losses(self, target: Targets, negatives: list[str]) -> Losses:
        rare = self.lexicon.rarity(target.texts).to(self.device)
        losses: Losses = self.model(target.to(self.device), negatives, rare)
        return losses

    @torch.no_grad()
    def check(self, batches: int = 8) -> tuple[float, float]:
        """The share of words that pictures never trained on are named right, and what chance would name.

        Uses the averaged weights, and leaves the others as they were.
        """
        kept = {name: value.clone() for name, value in self.model.state_dict().items()}
        self.model.load_state_dict(self.smooth)
        self.model.eval()
        rights, chances = [], []
        for number in range(batches):
            target, negatives = self.batch(random.Random(f"held out {number}"), fresh=True)
            rights.append(self._losses(target, negatives).accuracy)
            chances.append(1 / len({*target.texts, *negatives}))
        self.model.load_state_dict(kept)
        return sum(rights) / batches, sum(chances) / batches

    def _schedule(self) -> None:
        config, left = self.config, self.config.steps - self.step
        factor = min(1.0, (self.step + 1) / config.warmup, max(0.02, left / config.decay))
        for optimiser, base in zip(self.optimisers, self.base, strict=True):
            optimiser.param_groups[0]["lr"] = base * factor
        self.model.train()
        if left <= config.frozen:
            for module in self.model.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()

    @torch.no_grad()
    def _meet(self) -> None:
        """Average the processes' weights, and let the exported weights follow.

        Source: Stich, ICLR 2019 (local SGD); a barrier at every step would wait for the slower core.
        """
        state = [value for value in self.model.state_dict().values() if value.is_floating_point()]
        if self.config.processes > 1:
            flat = torch.cat([value.reshape(-1) for value in state])
            dist.all_reduce(flat)
            flat /= self.config.processes
            for value, part in zip(state, flat.split([value.numel() for value in state]), strict=True):
                value.copy_(part.view_as(value))
        share = max(1 - self.config.smoothing, self.config.meet_every / self.step)
        for name, value in self.model.state_dict().items():
            if value.is_floating_point():
                self.smooth[name].lerp_(value, share)

    def save(self, path: Path) -> None:
        """Write a checkpoint that `load` continues from."""
        state = {
            "model": self.model.state_dict(), "smooth": self.smooth,
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers], "step": self.step,
        }  # fmt: skip
        held = path.with_suffix(".tmp")
        torch.save(state, held)
        held.replace(path)

    def load(self, path: Path) -> None:
        """Continue from a checkpoint."""
        state = torch.load(path, weights_only=True, map_location=self.device)
        self.model.load_state_dict(state["model"])
        for optimiser, kept in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(kept)
        self.smooth = state["smooth"]
        self.step = state["step"]


def lexicon(config: EncoderConfig, crops: Crops, texts: list[str]) -> Lexicon:
    """Count words over contexts and real pages; kept beside the checkpoints, since reading takes minutes."""
    kept = config.output / "lexicon.json"
    if kept.exists():
        counts, total = json.loads(kept.read_text(encoding="utf-8"))
        counts = Counter(counts)
    else:

        def everything() -> Iterator[str]:
            yield from texts
            yield from crops.real.texts()

        counts, total = document_frequencies(everything())
        counts = Counter({word: count for word, count in counts.items() if count > 1})
        config.output.mkdir(parents=True, exist_ok=True)
        held = kept.with_suffix(f".{time.monotonic_ns()}.tmp")
        held.write_text(json.dumps([counts, total]), encoding="utf-8")
        held.replace(kept)
    return Lexicon(counts, total, [word for word, _ in counts.most_common(config.vocabulary)])
