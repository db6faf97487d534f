"""Trains the built-in visual encoder: `train_encoder` is what the command line calls."""

import json
import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from multiprocessing import get_context
from pathlib import Path

import torch.distributed as dist
from torch import Tensor

from training.encoder_config import EncoderConfig, read_config
from training.encoder_start import export_page_tower
from training.encoder_trainer import Trainer
from training.export import export
from training.ranges import write_ranges
from training.spotting import Losses
from training.texts import pairs
from training.worths import learned


@dataclass(frozen=True, slots=True)
class Step:
    """How far training is, and how well it does."""

    step: int
    steps: int
    loss: float
    accuracy: float
    seconds: float


Progress = Callable[[Step], None]

PICTURES = 96
"""Pictures on which the finished encoder's activations are measured."""


def train_encoder(config: Path, *, resume: bool = False, progress: Progress | None = None) -> Path:
    """Train an encoder as a TOML file says; gives the directory of the finished model.

    The directory holds what the product loads and `training.json`: steps, seconds, and how many words of
    pictures never trained on are named right, beside what chance would name.

    Args:
        config: see `EncoderConfig`.
        resume: continue from the run's checkpoint where there is one.
        progress: told after every step of the first process.

    Raises:
        UsageError: the configuration, the text or a PDF is missing or wrong.
    """
    run = read_config(config)
    run.output.mkdir(parents=True, exist_ok=True)
    (run.output / "rendezvous").unlink(missing_ok=True)
    context = get_context("spawn")
    others = [
        context.Process(target=work, args=(rank, run, resume, None), daemon=True)
        for rank in range(1, run.processes)
    ]
    for other in others:
        other.start()
    work(0, run, resume, progress)
    for other in others:
        other.join()
    return run.output / "model"


def work(rank: int, config: EncoderConfig, resume: bool, progress: Progress | None) -> None:  # noqa: FBT001 - spawn passes by position
    """Run one process of a training run to its end; the first one writes the model."""
    if rank:
        os.setsid()  # Linux shares a core among sessions before it shares it among their processes
    if config.processes > 1:
        rendezvous = f"file://{(config.output / 'rendezvous').resolve()}"
        dist.init_process_group("gloo", init_method=rendezvous, rank=rank, world_size=config.processes)
    trainer = Trainer(config, rank)
    if resume and (config.output / "checkpoint.pt").exists():
        trainer.load(config.output / "checkpoint.pt")
    began = time.monotonic()
    _run(trainer, began, progress)
    if config.processes > 1:
        dist.destroy_process_group()
    if rank == 0:
        _finish(trainer, time.monotonic() - began)


def _run(trainer: Trainer, began: float, progress: Progress | None) -> None:
    config = trainer.config
    while trainer.step < config.steps:
        losses = trainer.advance()
        if trainer.rank:
            continue
        _tell(trainer, losses, began, progress)
        if trainer.step % config.checkpoint_every == 0 or trainer.step == config.steps:
            trainer.save(config.output / "checkpoint.pt")


def _finish(trainer: Trainer, seconds: float) -> None:
    config, lexicon = trainer.config, trainer.lexicon
    smooth = {name: value.cpu() for name, value in trainer.smooth.items()}
    if config.start:
        export_page_tower(smooth, trainer.shape, config.start, config.output / "model")
    else:
        asked = pairs(config.text) if config.text else []
        worths = learned(asked, trainer.passages, lexicon.counts, lexicon.total)
        export(smooth, config.shape, worths, config.output / "model")
    rng = random.Random("ranges")
    write_ranges(
        config.output / "model", [trainer.crops.draw(rng, fresh=True).image for _ in range(PICTURES)]
    )
    right, chance = trainer.check()
    found = {"steps": trainer.step, "seconds": round(seconds, 1), "named_right": right, "chance": chance}
    (config.output / "model" / "training.json").write_text(
        json.dumps(found, indent=1) + "\n", encoding="utf-8"
    )


def _tell(trainer: Trainer, losses: Losses, began: float, progress: Progress | None) -> None:
    total, seconds = float(losses.total.detach()), time.monotonic() - began
    if trainer.step % 10 == 0:
        parts = {f.name: round(_number(getattr(losses, f.name)), 4) for f in fields(losses)}
        line = {"step": trainer.step, "seconds": round(seconds, 1), **parts}
        with (trainer.config.output / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
    if progress:
        progress(Step(trainer.step, trainer.config.steps, total, losses.accuracy, seconds))


def _number(value: Tensor | float) -> float:
    return float(value.detach()) if isinstance(value, Tensor) else value
