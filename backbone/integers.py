"""Products of bytes: which ones a processor adds up exactly, and linear layers that are computed by them."""

import logging
from functools import cache

import torch
from torch import Tensor, nn

from backbone.transformer import Layer, halves_pay

log = logging.getLogger(__name__)

WEIGHT = 127
"""The largest code of a weight, as weights are stored (`domain.packing`)."""


def bytes_pay() -> bool:
    """Whether products of bytes are faster here than those of float32, and torch has its kernels for them."""
    able = torch.cpu.get_capabilities()
    return torch.backends.mkldnn.is_available() and bool(able.get("avx2", False))


def bytes_add_up() -> bool:
    """Whether two products of bytes and their sum keep all their bits.

    Where there is an instruction for it, they do. The one before it cuts the sum of two off at 16 bits: there one
    factor must do with 7 bits of 8.
    """
    able = torch.cpu.get_capabilities()
    return any(able.get(name, False) for name in ("avx512_vnni", "avx_vnni", "amx_int8"))


def linear_bytes_pay() -> bool:
    """Whether bytes are the fastest format for linear layers; bfloat16 is kept where the processor multiplies it."""
    return bytes_pay() and not halves_pay("cpu")


class ByteLinear(nn.Module):
    """Computes what a linear layer does, with a byte a weight and bytes for what comes in.

    Weights have a scale for each row, as they are stored; what comes in has a scale and a shift for each token, so that
    no token depends on the others beside it. Sums are whole numbers: in whatever company, they are the same.
    """

    def __init__(self, layer: nn.Linear, levels: int) -> None:
        """Round the weights; what comes in has `levels` codes beside 0."""
        super().__init__()
        weight = layer.weight.detach().float()
        scales = weight.abs().amax(1).clamp(min=1e-12) / WEIGHT
        codes = (weight / scales[:, None]).round()
        self.levels, self.out_features = levels, len(weight)
        self._packed = _packed(codes)
        self.scales = nn.Buffer(scales)
        self.sums = nn.Buffer(codes.sum(1) * scales)
        self.bias = nn.Buffer(layer.bias.detach().float())
        self.zeros = nn.Buffer(torch.zeros(len(weight), dtype=torch.int32))

    def forward(self, states: Tensor) -> Tensor:
        """(..., in) float32 to (..., out) float32."""
        rows = states.reshape(-1, states.shape[-1]).float()
        least = rows.amin(-1, keepdim=True)
        steps = (rows.amax(-1, keepdim=True) - least).clamp_(min=1e-12).div_(self.levels)
        codes = (rows - least).div_(steps).round_().to(torch.uint8)
        found = _product(codes, self._packed, self.scales, self.zeros)
        found = found.mul_(steps).add_(self.bias).addcmul_(least, self.sums)
        return found.view(*states.shape[:-1], self.out_features)


def linear_in_bytes(network: nn.Module) -> bool:
    """Compute the linear parts of a network's transformer layers in bytes; its weights cannot be trained afterwards.

    Args:
        network: on the processor.

    Returns:
        False, with a line in the log and the network as it was, where products of bytes are not what they must be.
    """
    levels = 255 if bytes_add_up() else 127
    if not _adds_up(levels):
        return False
    for layer in network.modules():
        if isinstance(layer, Layer):
            for name, part in list(layer.named_children()):
                if isinstance(part, nn.Linear):
                    setattr(layer, name, ByteLinear(part, levels))
    return True


@cache
def _adds_up(levels: int) -> bool:
    """Whether the largest products come out as they must: wrong ones would fill an index with vectors of nothing."""
    codes = torch.cat([torch.full((1, 64), sign * float(WEIGHT)) for sign in (1, -1)])
    try:
        found = _product(
            torch.full((3, 64), levels, dtype=torch.uint8),
            _packed(codes),
            torch.ones(2),
            torch.zeros(2, dtype=torch.int32),
        )
    except (AttributeError, RuntimeError) as error:
        log.warning("text is read in floats: this torch has no products of bytes (%s)", error)
        return False
    if torch.equal(found, levels * codes.sum(1).expand(3, 2)):
        return True
    log.warning("text is read in floats: torch's products of bytes are wrong on this machine")
    return False


def _packed(codes: Tensor) -> Tensor:
    packed: Tensor = torch.ops.onednn.qlinear_prepack(codes.to(torch.int8), None)
    return packed


def _product(codes: Tensor, packed: Tensor, scales: Tensor, zeros: Tensor) -> Tensor:
    """(n, in) bytes and (out, in) bytes, packed, to (n, out) float32."""
    found: Tensor = torch.ops.onednn.qlinear_pointwise(
        codes, 1.0, 0, packed, scales, zeros, None, 1.0, 0, torch.float32, "none", [], ""
    )
    return found
