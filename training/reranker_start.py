"""Where the reranker starts: the visual encoder's words, and a text tower's layers and word vectors."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from rerank.builtin.files import load_network
from rerank.builtin.network import RerankConfig, RerankNetwork
from retrieve.text_tower import TOKENIZER
from retrieve.text_tower import load_network as load_tower
from training.reranker_pool import Lexicon
from training.reranker_sight import EncoderWords

Progress = Callable[[str], None]

SPELLED = ("table.", "known", "worths", "lift.", "emphasis.")
"""Weights that mean nothing beside another table of n-grams."""


def new_network(config: RerankConfig, words: EncoderWords, *, seed: int) -> RerankNetwork:
    """A network of random weights with the visual encoder's words, which training never changes."""
    torch.manual_seed(seed)
    sized = replace(config, dim=words.table.shape[1], buckets=len(words.table))
    network = RerankNetwork(replace(sized, known=len(words.known), unknown=words.unknown))
    with torch.no_grad():
        network.table.weight.copy_(torch.from_numpy(words.table))
        network.known.copy_(torch.from_numpy(words.known.view(np.int32)))
        network.worths.copy_(torch.from_numpy(words.worths))
    network.table.weight.requires_grad = False
    return network


def take_start(network: RerankNetwork, directory: Path) -> None:
    """Take an earlier reranker's layers and signals; what depends on how words are spelled stays new."""
    earlier, _ = load_network(directory)
    own = network.state_dict()
    for name, weight in earlier.state_dict().items():
        if not name.startswith(SPELLED) and own[name].shape == weight.shape:
            own[name] = weight
    network.load_state_dict(own)


def learn_words(
    network: RerankNetwork, lexicon: Lexicon, directory: Path, *, steps: int, seed: int, tell: Progress
) -> None:
    """Teach the network to lift each word's vector to a text tower's vector of that word."""
    torch.manual_seed(seed)
    vectors = torch.from_numpy(lexicon.vectors)
    wished = _narrowed(_word_vectors(tuple(lexicon.numbers), directory), network.config.hidden)
    optimiser = torch.optim.AdamW(network.lift.parameters(), lr=2e-3)
    # frequent words are met more often, rare ones still now and then
    odds = torch.from_numpy(np.exp(-4.0 * lexicon.rarity) + 0.02)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * (1 - step / steps)
        some = torch.multinomial(odds, min(1024, len(odds)), replacement=True)
        noise = torch.randn(len(some), vectors.shape[1]) * (0.25 / vectors.shape[1] ** 0.5)
        rows = functional.normalize(vectors[some] + noise, dim=-1)
        lifted = network.lift(rows)
        loss = 1 - functional.cosine_similarity(lifted, wished[some]).mean()
        loss = loss + 0.1 * functional.mse_loss(lifted, wished[some])
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        if step % 200 == 0:
            tell(f"words {step}/{steps} loss {loss.item():.4f}")


def _word_vectors(names: tuple[str, ...], directory: Path) -> Tensor:
    """The mean of a text tower's word-piece vectors of each word: (n, hidden)."""
    tower, _ = load_tower(directory)
    tokenizer = Tokenizer.from_file(str(directory / TOKENIZER))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    table = tower.words.weight.detach()
    coded = [
        encoding.ids or [0] for encoding in tokenizer.encode_batch(list(names), add_special_tokens=False)
    ]
    rows = torch.stack([table[ids].mean(0) for ids in coded])
    return rows - rows.mean(0)


def _narrowed(rows: Tensor, width: int) -> Tensor:
    """The rows' first principal components."""
    _, _, directions = torch.linalg.svd(rows.T @ rows)
    return rows @ directions[:width].T
