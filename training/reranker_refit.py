"""Fits a trained reranker to another visual encoder's words: a new table, the same judgement."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch.nn import functional

from domain import words
from rerank.builtin.files import CALIBRATION, load_network, save_network
from rerank.builtin.network import RerankNetwork
from rerank.builtin.pairs import Speller
from retrieve.text_tower import TOKENIZER
from training.reranker_sight import encoder_words
from training.reranker_start import new_network, take_start

Progress = Callable[[str], None]


def refit_reranker(
    directory: Path, *, encoder: Path, tower: Path, steps: int = 1500, progress: Progress | None = None
) -> None:
    """Replace a reranker's words by an encoder's, in place.

    What is learned anew is only what depends on how words are spelled: from each word's new vector, the meaning
    and the emphasis that the reranker had for the old one. A calibration belongs to the old weights and goes.

    Args:
        directory: the reranker, trained for some encoder.
        encoder: the encoder that it shall work with.
        tower: a text tower, whose tokenizer lists common words.
        steps: of the fit; 0 only swaps the words, for an encoder that spells as the old one did.
        progress: told one line now and then.
    """
    old, _ = load_network(directory)
    new = new_network(replace(old.config), encoder_words(encoder), seed=1)
    take_start(new, directory)
    _imitate(old, new, _common_words(tower), steps=steps, tell=progress or (lambda _: None))
    save_network(new, directory)
    (directory / CALIBRATION).unlink(missing_ok=True)


def _common_words(tower: Path) -> list[str]:
    """Whole words of the tower's vocabulary, the frequent ones first."""
    tokenizer = Tokenizer.from_file(str(tower / TOKENIZER))
    ordered = sorted(tokenizer.get_vocab().items(), key=lambda each: each[1])
    return [word for word, _ in ordered if words.split(word) == [word]]


def _imitate(old: RerankNetwork, new: RerankNetwork, names: list[str], *, steps: int, tell: Progress) -> None:
    torch.manual_seed(1)
    before = torch.from_numpy(Speller(old).rows(names))
    after = torch.from_numpy(Speller(new).rows(names))
    with torch.inference_mode():
        meaning, emphasis = old.lift(before).clone(), old.emphasis(before).clone()
    learned = [*new.lift.parameters(), *new.emphasis.parameters()]
    optimiser = torch.optim.AdamW(learned, lr=2e-3)
    odds = torch.from_numpy(1.0 / np.arange(100, 100 + len(names)))
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * (1 - step / steps)
        some = torch.multinomial(odds, min(1024, len(names)), replacement=True)
        noise = torch.randn(len(some), after.shape[1]) * (0.25 / after.shape[1] ** 0.5)
        rows = functional.normalize(after[some] + noise, dim=-1)
        guess = new.lift(rows)
        loss = 1 - functional.cosine_similarity(guess, meaning[some]).mean()
        loss = loss + 0.1 * functional.mse_loss(guess, meaning[some])
        loss = loss + functional.mse_loss(new.emphasis(rows), emphasis[some])
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        if step % 300 == 0:
            tell(f"words {step}/{steps} loss {loss.item():.4f}")
