"""FAISS on a GPU where there is one; the processor otherwise, said once."""

import functools
import logging

import faiss

log = logging.getLogger(__name__)


@functools.cache
def gpus() -> int:
    """How many GPUs this build of FAISS can use; 0 for `faiss-cpu`."""
    found = int(faiss.get_num_gpus())
    if found and not hasattr(faiss, "StandardGpuResources"):
        return 0
    return found


def placed(index: faiss.Index) -> faiss.Index:
    """A copy of the index on all GPUs, in half precision and in shards; the index itself without a GPU.

    FAISS splits the vectors among several GPUs and merges their answers. What a GPU cannot take (no memory,
    an unknown kind of index) stays on the processor with one warning.
    """
    if not gpus():
        return index
    options = faiss.GpuMultipleClonerOptions()
    options.shard = True
    options.useFloat16 = True
    try:
        return faiss.index_cpu_to_all_gpus(index, co=options)
    except RuntimeError as error:
        said(str(error))
        return index


@functools.cache
def said(reason: str) -> None:
    """Warn of a refusal, once for each reason."""
    log.warning("the first stage runs on the processor, the GPU refused it: %s", reason)
