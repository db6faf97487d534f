"""FAISS on GPUs where there are some; the processor otherwise, said once.

Importing this teaches FAISS to take torch tensors: on a GPU they are read where they lie.
"""

import functools
import logging

import faiss
import faiss.contrib.torch_utils
import numpy as np
import torch
from numpy.typing import NDArray

from retrieve.encoder import Floats

log = logging.getLogger(__name__)

LARGEST = 2048
"""How many vectors, and how many cells, FAISS looks at on a GPU for one query token."""


@functools.cache
def gpus() -> int:
    """How many GPUs this build of FAISS can use; 0 for `faiss-cpu`."""
    found = int(faiss.get_num_gpus())
    return found if hasattr(faiss, "StandardGpuResources") else 0


class GpuCells:
    """The cells of a first stage on all GPUs, their vectors in half precision.

    FAISS splits the vectors among several GPUs and joins their answers. With one GPU queries, vectors and
    answers are torch tensors on it; several take them from the host and hand them out themselves.
    """

    def __init__(self, index: faiss.Index, device: torch.device | None) -> None:
        """Use `of` instead; `device` is where tensors lie, None where FAISS splits among GPUs."""
        self._index, self._device = index, device
        self._sound = True

    @classmethod
    def of(cls, cells: faiss.IndexIVF) -> "GpuCells | None":
        """The same cells, empty, on the GPUs; None without one, or, with one warning, when it refuses."""
        if not gpus():
            return None
        halves, residual = faiss.ScalarQuantizer.QT_fp16, False
        empty = faiss.IndexIVFScalarQuantizer(
            cells.quantizer, cells.d, cells.nlist, halves, cells.metric_type, residual
        )
        empty.is_trained = True
        options = faiss.GpuMultipleClonerOptions()
        options.shard = True
        options.useFloat16 = True
        try:
            index = faiss.index_cpu_to_all_gpus(empty, co=options)
        except RuntimeError as error:
            said(str(error))
            return None
        return cls(index, first_gpu() if gpus() == 1 else None)

    def add(self, rows: Floats, ids: NDArray[np.int64]) -> None:
        """Add vectors; a GPU without room is given up, with one warning."""
        if not self._sound:
            return
        try:
            if self._device is None:
                self._index.add_with_ids(rows, ids)
            else:
                self._index.add_with_ids(
                    torch.from_numpy(rows).to(self._device), torch.from_numpy(ids).to(self._device)
                )
        except RuntimeError as error:
            said(str(error))
            self._sound = False

    def takes(self, depth: int, probes: int) -> bool:
        """Whether the GPUs hold everything and may look so far."""
        return self._sound and max(depth, probes) <= LARGEST

    def search(self, rows: Floats, *, depth: int, probes: int) -> tuple[Floats, NDArray[np.int64]]:
        """The nearest vectors of each row, (q, depth) scores, falling, and ids; -1 where there are no more."""
        faiss.GpuParameterSpace().set_index_parameter(self._index, "nprobe", probes)
        if self._device is None:
            scores, found = self._index.search(rows, depth)
            return scores, found
        best, ids = self._index.search(torch.from_numpy(rows).to(self._device), depth)
        return best.cpu().numpy(), ids.cpu().numpy()


def first_gpu() -> torch.device:
    """Where the tensors of a single GPU lie."""
    return torch.device("cuda", 0)


@functools.cache
def said(reason: str) -> None:
    """Warn of a refusal, once for each reason."""
    log.warning("the first stage runs on the processor, the GPU refused it: %s", reason)
