"""Trains the text tower: a teacher's layers, taught what two say together, and set against hard negatives."""

import json
import math
import random
from importlib import import_module
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from backbone.transformer import quick
from domain.errors import UsageError
from retrieve.text_tower import TOKENIZER, TextNetwork, batch_of, load_network, save_network
from training.text_tower_pool import Pool, Progress, make_pool
from training.text_tower_recipe import TextRecipe, read_recipe


def train_text_tower(config: Path, *, resume: bool = False, progress: Progress | None = None) -> Path:
    """Train as a configuration says and write weights, configuration and tokenizer.

    Args:
        config: a TOML file; see `TextRecipe`.
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
    torch.manual_seed(recipe.seed)
    tokenizer, network = _start(recipe)
    if not recipe.steps:
        return _written(recipe, network, tokenizer)
    pool = make_pool(recipe, tokenizer, tell)
    tell(f"{len(pool.chunks)} chunks, {len(pool.questions)} questions")
    _fit(recipe, network, pool, resume=resume, tell=tell)
    output = _written(recipe, network, tokenizer)
    held, _ = load_network(output)
    measured = _held_out(held, pool)
    tell(f"held-out questions: {measured}")
    (recipe.work / "held_out.json").write_text(json.dumps(measured) + "\n")
    return output


def _written(recipe: TextRecipe, network: TextNetwork, tokenizer: Tokenizer) -> Path:
    save_network(network, recipe.output)
    tokenizer.save(str(recipe.output / TOKENIZER))
    return recipe.output


def _start(recipe: TextRecipe) -> tuple[Tokenizer, TextNetwork]:
    if recipe.teacher_layers:
        teaching = import_module("training.text_tower_teacher")
        path = recipe.tokenizer or teaching.TOKENIZER_FILE
        network = teaching.student(teaching.load_teacher(), recipe.shape, keep=recipe.teacher_layers)
        network.words.weight.requires_grad = False
    else:
        if recipe.tokenizer is None:
            raise UsageError("training without a teacher needs `tokenizer = FILE`")
        path, network = recipe.tokenizer, TextNetwork(recipe.shape)
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer, network


def _fit(recipe: TextRecipe, network: TextNetwork, pool: Pool, *, resume: bool, tell: Progress) -> None:
    learned = [weight for weight in network.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(learned, lr=recipe.rate, weight_decay=0.01, foreach=True)
    held = recipe.work / "checkpoint.pt"
    first = 0
    if resume and held.is_file():
        state = torch.load(held, weights_only=True)
        network.load_state_dict(state["network"])
        optimiser.load_state_dict(state["optimiser"])
        first = int(state["step"])
    network.train()
    for step in range(first, recipe.steps):
        for group in optimiser.param_groups:
            group["lr"] = recipe.rate * _pace(step, recipe.steps)
        loss = _loss(recipe, network, pool, random.Random(recipe.seed * 1_000_003 + step))
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learned, 1.0)
        optimiser.step()
        if step % 20 == 0:
            tell(f"step {step}/{recipe.steps} loss {loss.item():.4f}")
        if (step + 1) % recipe.save_every == 0:
            state = {"network": network.state_dict(), "optimiser": optimiser.state_dict(), "step": step + 1}
            torch.save(state, held.with_suffix(".new"))
            held.with_suffix(".new").replace(held)


def _pace(step: int, steps: int) -> float:
    warm = max(1, steps // 20)
    rising = min(1.0, (step + 1) / warm)
    return rising * 0.5 * (1 + math.cos(math.pi * step / steps))


def _loss(recipe: TextRecipe, network: TextNetwork, pool: Pool, chance: random.Random) -> Tensor:
    """Questions, half of them about one document, against what answers them, what nearly does, and that document."""
    theme = pool.documents[chance.randrange(len(pool.chunks))]
    members = np.flatnonzero(pool.documents == theme).tolist()
    near = np.flatnonzero(pool.documents[pool.answers] == theme).tolist()
    near = chance.sample(near, min(len(near), recipe.questions // 2))
    asked = [*near, *chance.sample(range(len(pool.questions)), recipe.questions - len(near))]
    asked = [place for place in dict.fromkeys(asked) if place % 50]
    shown = [int(pool.answers[place]) for place in asked]
    for place in asked:
        found = [int(chunk) for chunk in pool.hard[place] if chunk >= 0]
        shown += [chance.choice(found)] if found else []
    shown += chance.sample(members, min(len(members), recipe.others))
    with quick():
        rows = network(*batch_of([pool.chunks[place] for place in shown]))
        questions = network(*batch_of([pool.questions[place] for place in asked]))
    likeness = questions.float() @ rows.float().T / recipe.temperature
    if pool.chunk_rows is not None and pool.question_rows is not None:
        taught = torch.from_numpy(pool.chunk_rows[shown]).float()
        taught_questions = torch.from_numpy(pool.question_rows[asked]).float()
        wished = (taught_questions @ taught.T / recipe.temperature).softmax(-1)
        return functional.kl_div(likeness.log_softmax(-1), wished, reduction="batchmean")
    owners = torch.from_numpy(pool.owners[shown])
    same = owners[None] == owners[: len(asked), None]
    same[torch.arange(len(asked)), torch.arange(len(asked))] = False
    return functional.cross_entropy(likeness.masked_fill(same, -1e4), torch.arange(len(asked)))


def _held_out(network: TextNetwork, pool: Pool, *, most: int = 500) -> dict[str, float]:
    """Rank held-out questions' chunks among 4,000 others; a fiftieth of the questions never trains."""
    chance = random.Random(0)
    asked = list(range(0, len(pool.questions), 50))[:most]
    shown = sorted({int(pool.answers[place]) for place in asked})
    shown += chance.sample(range(len(pool.chunks)), min(4000, len(pool.chunks)))
    with torch.inference_mode(), quick():
        rows = torch.cat(
            [
                network(*batch_of([pool.chunks[p] for p in shown[s : s + 32]]))
                for s in range(0, len(shown), 32)
            ]
        )
        questions = torch.cat([network(*batch_of([pool.questions[place]])) for place in asked])
    scores = (questions.float() @ rows.float().T).numpy()
    owners = pool.owners[shown]
    ranks = []
    for row, place in enumerate(asked):
        own = owners == pool.owners[pool.answers[place]]
        ranks.append(1 + int((scores[row][~own] > scores[row][own].max()).sum()))
    return {
        "questions": len(asked),
        "mrr": float(np.mean([1 / rank for rank in ranks])),
        "chance_mrr": float(np.mean(1 / np.arange(1, len(shown) + 1))),
    }
