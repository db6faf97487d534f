"""Trains the built-in reranker: on its signals, on simulated reading, then on the encoder's own reading."""

import json
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel

from backbone.device import place
from backbone.transformer import quick
from domain.model import ModelSettings
from rerank.builtin.files import load_network, save_network
from rerank.builtin.network import RerankNetwork
from rerank.builtin.pairs import Reading, Wording, beside
from training.reranker_evaluate import BLEND, calibrate, evaluate
from training.reranker_material import Material, Stage, gather
from training.reranker_pool import as_written, draw_candidates
from training.reranker_recipe import RerankRecipe, read_recipe

Progress = Callable[[str], None]

SHARP = 3.0
"""Blended scores are standardised: so far apart, in deviations, the softmax sees them."""

AVERAGED = 0.995
"""How much of the average of the weights stays after a step, once there were enough of them."""


def train_reranker(config: Path, *, resume: bool = False, progress: Progress | None = None) -> Path:
    """Train as a configuration says; write weights, configuration, calibration and held-out figures.

    Args:
        config: a TOML file; see `RerankRecipe`.
        resume: go on from the last checkpoint, if there is one.
        progress: told one line now and then.

    Returns:
        The directory that holds the model.

    Raises:
        UsageError: the configuration or its data cannot be used.
    """
    recipe = read_recipe(config)
    tell = progress or (lambda _: None)
    recipe.work.mkdir(parents=True, exist_ok=True)
    material = gather(recipe, tell)
    _fit(recipe, material, resume=resume, tell=tell)
    save_network(material.network.cpu(), recipe.output)
    network, digest = load_network(recipe.output, material.reader.pieces.table)
    figures = {stage.name: asdict(evaluate(network, stage, material)) for stage in material.stages}
    for name, found in figures.items():
        tell(f"held out, {name}: {found}")
    calibrate(network, f"{digest}-{material.reader.digest}", material, recipe.output)
    (recipe.work / "held_out.json").write_text(json.dumps(figures, indent=2) + "\n")
    return recipe.output


def _fit(recipe: RerankRecipe, material: Material, *, resume: bool, tell: Progress) -> None:
    device = torch.device(place(ModelSettings(device=recipe.device)).device)
    network = material.network.to(device)
    averaged = AveragedModel(network, avg_fn=_towards)
    optimiser = torch.optim.AdamW(_groups(network, recipe), weight_decay=0.01)
    held = recipe.work / "checkpoint.pt"
    first = 0
    if resume and held.is_file():
        state = torch.load(held, weights_only=True, map_location=device)
        network.load_state_dict(state["network"])
        averaged.load_state_dict(state["averaged"])
        optimiser.load_state_dict(state["optimiser"])
        first = int(state["step"])
    network.train()
    smooth = 0.0
    for step in range(first, recipe.total):
        for group in optimiser.param_groups:
            group["lr"] = group["most"] * _pace(step, recipe)
        loss = _loss(recipe, material, step)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        averaged.update_parameters(network)
        smooth = 0.95 * (smooth or loss.item()) + 0.05 * loss.item()
        if step % 20 == 0:
            tell(f"step {step}/{recipe.total} loss {smooth:.4f}")
        if (step + 1) % recipe.save_every == 0:
            state = {
                "network": network.state_dict(), "averaged": averaged.state_dict(),
                "optimiser": optimiser.state_dict(), "step": step + 1,
            }  # fmt: skip
            torch.save(state, held.with_suffix(".new"))
            held.with_suffix(".new").replace(held)
    network.load_state_dict(averaged.module.state_dict())


def _towards(average: Tensor, now: Tensor, steps: Tensor | int) -> Tensor:
    """The mean of the last steps, some hundred of them: one step's questions are few, and pull far."""
    kept = min(AVERAGED, float(steps + 1) / float(steps + 10))
    return average.lerp(now, 1 - kept)


def _groups(network: RerankNetwork, recipe: RerankRecipe) -> list[dict[str, object]]:
    deep = [
        *network.layers.parameters(), *network.places.parameters(), *network.start.parameters()
    ]  # fmt: skip
    known = {id(weight) for weight in deep}
    small = [w for w in network.parameters() if w.requires_grad and id(w) not in known]
    return [
        {"params": small, "lr": recipe.rate, "most": recipe.rate},
        {"params": deep, "lr": recipe.deep_rate, "most": recipe.deep_rate},
    ]


def _pace(step: int, recipe: RerankRecipe) -> float:
    rising = min(1.0, (step + 1) / max(1, recipe.total // 20))
    return rising * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * step / recipe.total)))


def _loss(recipe: RerankRecipe, material: Material, step: int) -> Tensor:
    """Each question's pages ranked as they are served, blended with the first stage, and by the logits alone.

    What the first stage knows already teaches little then, and what it has wrong much. A little of every pair by itself
    gives logits a meaning.
    """
    chance = random.Random(recipe.seed * 1_000_003 + step)
    stage = material.stages[-1] if step >= recipe.warm + recipe.steps else material.stages[0]
    rows: list[Wording] = []
    readings: list[Reading] = []
    starts: list[int] = []
    firsts: list[Tensor] = []
    for question in chance.choices(stage.train, stage.weights, k=recipe.questions):
        pages, scores = draw_candidates(
            stage.task, question, most=recipe.candidates, hard=step / recipe.total, chance=chance
        )
        starts.append(len(rows))
        firsts.append(torch.tensor(scores))
        rows += [material.lexicon.wording(stage.task.questions[question])] * len(pages)
        readings += read_all(stage, question, pages, material, chance)
    device = material.network.table.device
    pairs = beside(rows, readings, dim=material.lexicon.vectors.shape[1]).to(device)
    with quick(device.type):
        logits = material.network(pairs, deep=step >= recipe.warm)
    groups = [logits[a:b] for a, b in zip(starts, [*starts[1:], len(rows)], strict=True)]
    alone = torch.stack([-group.log_softmax(0)[0] for group in groups]).mean()
    blended = torch.stack(
        [
            -(SHARP * torch.lerp(_standard(group), _standard(first.to(device)), BLEND)).log_softmax(0)[0]
            for group, first in zip(groups, firsts, strict=True)
        ]
    ).mean()
    truth = torch.zeros(len(rows), device=device)
    truth[starts] = 1.0
    return blended + 0.5 * alone + 0.2 * functional.binary_cross_entropy_with_logits(logits, truth)


def _standard(scores: Tensor) -> Tensor:
    return (scores - scores.mean()) / (scores.std(unbiased=False) + 1e-6)


def read_all(
    stage: Stage, question: int, pages: Sequence[int], material: Material, chance: random.Random
) -> list[Reading]:
    """Read a question's pages all in one way: by their text, or by sight, really or simulated."""
    if chance.random() < 0.7:
        return [as_written(stage.task, question, page, material.lexicon) for page in pages]
    if stage.pictures:
        return stage.seen(question, pages, material.lexicon)
    blur, dice = chance.random(), np.random.default_rng(chance.getrandbits(32))
    return [material.misreader.read(stage.task, question, page, blur=blur, chance=dice) for page in pages]
