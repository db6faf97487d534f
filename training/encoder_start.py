"""A finished encoder as the start of another run: its page tower goes on learning, its words stay as they are."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from retrieve.builtin.files import CONFIG, WEIGHTS, read_parts, shape_of
from retrieve.builtin.network import PageTower, Shape, Strokes, WordTower
from training.export import folded
from training.sample import LETTER_CLASSES


@torch.no_grad()
def begin(directory: Path, pages: Sequence[Tensor]) -> tuple[Shape, PageTower, WordTower]:
    """Both towers as training has them.

    Normalisation was folded into the convolutions; it is unfolded around the statistics of some pictures, so that
    the tower gives what it gave. The task of naming letters, which is not kept, starts anew. The words' table does
    not learn: whatever reads these spellings (questions, the reranker) stays right.

    Args:
        directory: holds the model.
        pages: pictures (b, 1, h, w) as the tower takes them.
    """
    finished = read_parts(directory).tower
    tensors = load_file(directory / WEIGHTS)
    shape = shape_of(json.loads((directory / CONFIG).read_text(encoding="utf-8"))["shape"])
    page, word = PageTower(shape, LETTER_CLASSES), WordTower(shape)
    learned = {name: value for name, value in finished.state_dict().items() if ".conv." not in name}
    page.load_state_dict(learned, strict=False)
    moments = _moments(finished, pages)
    own = dict(page.named_modules())
    for name, layer in finished.named_modules():
        new = own[name]
        if isinstance(layer, Strokes) and isinstance(new, Strokes) and isinstance(new.norm, nn.BatchNorm2d):
            mean, var, bias = *moments[name], layer.conv.bias
            if bias is None:
                raise TypeError(f"{name} is not folded")
            new.conv.weight.copy_(layer.conv.weight)
            new.norm.load_state_dict(
                {
                    "running_mean": mean,
                    "running_var": var,
                    "weight": (var + new.norm.eps).sqrt(),
                    "bias": bias + mean,
                    "num_batches_tracked": torch.tensor(0),
                }
            )
    word.table.weight.copy_(tensors["words.codes"].float() * tensors["words.scales"].float()[:, None])
    word.requires_grad_(requires_grad=False)
    return shape, page, word


def export_page_tower(state: dict[str, Tensor], shape: Shape, start: Path, directory: Path) -> None:
    """Write the model that a run from `start` gives: all of that model's files, with another page tower.

    Args:
        state: of `training.spotting.Spotter`.
        shape: of its towers.
        start: where the run began.
        directory: made if need be; files are replaced.
    """
    tower = folded(state, shape)
    tensors = load_file(start / WEIGHTS)
    tensors |= {f"page.{name}": value.half().contiguous() for name, value in tower.state_dict().items()}
    for name in ("page.head.2.weight", "page.head.2.bias"):
        tensors[name][-1] = 0  # the last of a vector's numbers is kept free for its weight
    directory.mkdir(parents=True, exist_ok=True)
    held = directory / f"{WEIGHTS}.new"
    save_file(tensors, held)
    held.replace(directory / WEIGHTS)
    shutil.copy(start / CONFIG, directory / CONFIG)


def _moments(tower: PageTower, pages: Sequence[Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
    """Mean and variance of each channel of each convolution, without its bias."""
    layers = {name: layer for name, layer in tower.named_modules() if isinstance(layer, Strokes)}
    seen: dict[str, list[Tensor]] = {name: [] for name in layers}
    hooks = [layer.conv.register_forward_hook(_look(seen[name])) for name, layer in layers.items()]
    for some in pages:
        tower(some)
    for hook in hooks:
        hook.remove()
    found = {}
    for name, layer in layers.items():
        first, second = torch.stack(seen[name]).mean(0)
        bias = layer.conv.bias
        found[name] = (first - (0 if bias is None else bias), second - first**2)
    return found


def _look(seen: list[Tensor]) -> Callable[[nn.Module, tuple[Tensor], Tensor], None]:
    def look(_: nn.Module, __: tuple[Tensor], out: Tensor) -> None:
        values = out.float()
        seen.append(torch.stack([values.mean((0, 2, 3)), (values**2).mean((0, 2, 3))]))

    return look
