"""The threads that search and compare vectors, one for all engines of a process."""

import functools

import faiss
import numpy as np
import torch
from numpy.typing import NDArray

from backbone.threads import Crew
from retrieve.encoder import Floats


@functools.cache
def crew() -> Crew:
    """The threads; FAISS uses one inside each.

    Left to itself FAISS keeps its threads spinning for a while after a search, on the cores that the comparison
    of the pages found needs next: at 10,000 pages of 700 vectors on two cores that comparison took 5.7 ms instead of 2.
    """
    return Crew(ready=_alone)


def search_shared(
    index: faiss.Index, rows: Floats, depth: int, options: faiss.SearchParameters
) -> tuple[Floats, NDArray[np.int64]]:
    """What FAISS finds for each row, by the crew: scores and numbers of vectors, (rows, depth)."""

    def found(some: Floats) -> tuple[Floats, NDArray[np.int64]]:
        # `search_numpy` is what `search` was before torch tensors were taught to FAISS
        return index.search_numpy(some, depth, params=options)  # type: ignore[attr-defined, no-any-return]  # added by torch_utils

    parts = np.array_split(rows, min(torch.get_num_threads(), len(rows)))
    scores, numbers = zip(*crew().each(found, parts), strict=True)
    return np.concatenate(scores), np.concatenate(numbers)


def _alone() -> None:
    faiss.omp_set_num_threads(1)
