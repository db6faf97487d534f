"""Where and in which number format a model runs."""

from dataclasses import dataclass

import torch

from backbone.threads import cores
from domain.errors import ModelError
from domain.model import ModelSettings

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True, slots=True)
class Place:
    """A device, a number format, an attention kernel, batch sizes and threads that suit one another.

    `pages` is how many of them are worth a commit.
    """

    device: str
    dtype: torch.dtype
    attention: str
    batch_tokens: int
    workers: int = 1
    pages: int = 8

    @property
    def dtype_name(self) -> str:
        """The number format as a fingerprint holds it."""
        return str(self.dtype).removeprefix("torch.")


def place(settings: ModelSettings) -> Place:
    """Choose what the settings leave open: bfloat16 on a GPU, float32 elsewhere, SDPA attention on both.

    Raises:
        ModelError: the device does not exist here, or the number format is unknown.
    """
    device = settings.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ModelError(f"there is no GPU for device {settings.device!r}; use cpu or auto")
    on_gpu = device.startswith("cuda")
    dtype = settings.dtype if settings.dtype != "auto" else ("bfloat16" if on_gpu else "float32")
    if dtype not in _DTYPES:
        raise ModelError(f"unknown dtype {dtype!r}; use auto, {', '.join(_DTYPES)}")
    attention = settings.attention if settings.attention != "auto" else "sdpa"
    batch_tokens = settings.batch_tokens or (16384 if on_gpu else 2048)
    workers = settings.workers or (max(1, min(8, cores() // 2)) if on_gpu else 1)
    return Place(device, _DTYPES[dtype], attention, batch_tokens, workers, pages=64 if on_gpu else 8)
