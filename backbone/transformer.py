"""The transformer layer of the models that this repository trains."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class Layer(nn.Module):
    """Attention and feed-forward part with normalisation after each, as in BERT.

    Source: Vaswani et al., 2017; Devlin et al., NAACL 2019.
    """

    def __init__(self, hidden: int, heads: int, inner: int) -> None:
        """Make the layer's weights; `heads` divides `hidden`, `inner` is the width of the feed-forward part."""
        super().__init__()
        self.heads = heads
        self.attend = nn.Linear(hidden, 3 * hidden)
        self.joined = nn.Linear(hidden, hidden)
        self.attended = nn.LayerNorm(hidden, eps=1e-12)
        self.widen = nn.Linear(hidden, inner)
        self.narrow = nn.Linear(inner, hidden)
        self.done = nn.LayerNorm(hidden, eps=1e-12)

    def forward(self, states: Tensor, seen: Tensor) -> Tensor:
        """Mix the tokens (n, t, hidden) of each text; `seen` (n, 1, 1, t) is False at padding."""
        n, t, width = states.shape
        parts = self.attend(states).view(n, t, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        mixed = _attended(parts[0], parts[1], parts[2], seen)
        states = self.attended(states + self.joined(mixed.transpose(1, 2).reshape(n, t, width)))
        finished: Tensor = self.done(states + self.narrow(functional.gelu(self.widen(states))))
        return finished


def _attended(asking: Tensor, asked: Tensor, told: Tensor, seen: Tensor) -> Tensor:
    """Scaled dot-product attention of (n, heads, t, d) parts: torch's own, except to train on a processor.

    There the gradient of the fused kernel takes half of a step; written out, a step takes two thirds of the time.
    """
    if not asking.requires_grad or asking.device.type != "cpu":
        return functional.scaled_dot_product_attention(asking, asked, told, attn_mask=seen)
    likeness = asking @ asked.transpose(-1, -2) * asking.shape[-1] ** -0.5
    mixed: Tensor = likeness.masked_fill(~seen, -1e4).softmax(-1, dtype=told.dtype) @ told
    return mixed


def lookup(rows: int, width: int) -> nn.Embedding:
    """A table of random vectors, (rows, width); on the meta device none are drawn.

    Drawing normal numbers on the meta device imports torch's compiler, which takes longer than loading a model.
    """
    vectors = torch.empty(rows, width)
    if not vectors.is_meta:
        nn.init.normal_(vectors)
    return nn.Embedding(rows, width, _weight=vectors)


def halves_pay(device: str) -> bool:
    """Whether bfloat16 is the faster format: on a GPU, and where a processor multiplies it by itself."""
    able = torch.cpu.get_capabilities() if device == "cpu" else {}
    return device != "cpu" or any(able.get(name, False) for name in ("amx_bf16", "avx512_bf16"))


def quick(device: str = "cpu") -> torch.autocast:
    """A context in which products are computed in bfloat16 where that is the faster format.

    A processor that cannot multiply bfloat16 falls back to plain loops: on a Zen core .2 GFLOPS beside 35 in float32.
    One with tiles (AMX) takes a fourth of the time of float32, a Zen 4 core (AVX512_BF16) half of it.
    """
    return torch.autocast(device, torch.bfloat16, enabled=halves_pay(device))
