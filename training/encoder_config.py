"""What an encoder training run is made of, read from a TOML file."""

import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from domain.errors import UsageError
from retrieve.builtin.network import Shape


@dataclass(frozen=True, slots=True)
class EncoderConfig:
    """One run. Paths are relative to the directory of the file.

    Attributes:
        text: a directory of training text (`contexts/`, `pairs/`); none invents words.
        pdfs: directories of real PDFs with text layers.
        fonts: a directory of font files; empty for the PDF base fonts alone.
        output: where checkpoints, log and the exported model go.
        start: a finished encoder's directory: its page tower goes on, with its own `shape`; its words stay.
        steps: optimiser steps in all; `warmup` and `decay` of them raise and lower the rate.
        frozen: of the last steps, how many run with fixed normalisation statistics.
        processes: data-parallel processes of one thread each, for processors; one for a GPU.
        device: `auto` takes a GPU where there is one; `cpu` or `cuda` insist.
        accumulate: batches whose gradients are added up for one step.
        crops: pictures a process and step, each `width_px` x `height_px`.
        fresh: the share of pictures newly drawn; the others are earlier ones worn anew.
        odd: how much of the typeset text is numbers, codes and letter strings.
        print_px: the least and largest usual font size; the levels of a page lie 2.4 apart, so the range must be wider.
        real: the share of pictures from real pages.
        negatives: vocabulary words, and `near` misread words, that a step adds to tell apart.
        vocabulary: how many words keep their own document frequency.
        smoothing: how much of the running average, which is what is exported, a meeting keeps.
        meet_every: after how many steps the processes average their weights.
    """

    output: Path
    start: Path | None = None
    text: Path | None = None
    pdfs: tuple[Path, ...] = ()
    fonts: Path | None = None
    seed: int = 0
    steps: int = 4000
    warmup: int = 100
    decay: int = 1000
    frozen: int = 300
    rate: float = 2e-3
    table_rate: float = 4e-3
    processes: int = 1
    device: str = "auto"
    accumulate: int = 1
    crops: int = 2
    width_px: int = 640
    height_px: int = 384
    fresh: float = 0.25
    odd: float = 1.0
    print_px: tuple[float, float] = (10.0, 19.0)
    real: float = 0.35
    negatives: int = 640
    near: int = 256
    vocabulary: int = 30000
    checkpoint_every: int = 200
    meet_every: int = 10
    smoothing: float = 0.96
    shape: Shape = field(default_factory=Shape)


def read_config(path: Path) -> EncoderConfig:
    """Read a run's configuration.

    Raises:
        UsageError: the file is missing, is no TOML, or names something unknown.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"cannot read the training configuration {path}: {error}") from error
    known = {entry.name for entry in fields(EncoderConfig)}
    unknown = sorted(set(table) - known)
    if unknown or "output" not in table:
        raise UsageError(f"{path}: unknown {unknown}; output is needed; known are {sorted(known)}")
    here = path.resolve().parent
    values = dict(table)
    for name in ("text", "output", "fonts", "start"):
        if values.get(name):
            values[name] = here / values[name]
    values["pdfs"] = tuple(here / entry for entry in values.get("pdfs", ()))
    shape: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in values.get("shape", {}).items()
    }
    values["shape"] = Shape(**shape)
    if "print_px" in values:
        values["print_px"] = tuple(values["print_px"])
    return EncoderConfig(**values)
