"""The compiled kernel of late interaction, built on first use where a C compiler is at hand.

Everything works without it, more slowly: `retrieve.maxsim` then multiplies with torch and gets the
same scores to the last bit. The kernel is compiled into the cache of the user, under a name that follows from
its source, and must reproduce a product computed by numpy before it is used.
"""

import ctypes
import functools
import logging
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import platformdirs
import xxhash
from numpy.typing import NDArray

log = logging.getLogger(__name__)

SOURCE = Path(__file__).parent / "kernel" / "maxsim.c"
COMPILERS = ("cc", "gcc", "clang")
FLAGS = ("-O3", "-shared", "-fPIC")
TIMEOUT_S = 60

Codes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Spans = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """A query as the kernel reads it.

    Attributes:
        tokens: (blocks, dim / 4 rounded up, lanes, 4) int8, zeros behind the end.
        origin: (blocks * lanes,) int32, minus 128 times each sum.
        count: how many of the tokens are real.
        dim: the width of a vector.
    """

    tokens: NDArray[np.int8]
    origin: NDArray[np.int32]
    count: int
    dim: int


class Kernel:
    """Compares pages with the processor's integer multiplications."""

    def __init__(self, library: Path) -> None:
        """Load the compiled file.

        Raises:
            OSError: it cannot be loaded.
        """
        loaded = ctypes.CDLL(str(library))
        self._maxsim = loaded.recto_maxsim
        self._maxsim.restype = None
        pointer, integer = ctypes.c_void_p, ctypes.c_int
        self._maxsim.argtypes = [*(pointer,) * 4, ctypes.c_int64, *(pointer,) * 2, *(integer,) * 3, pointer]
        self.lanes = int(loaded.recto_lanes())

    def pack(self, codes: NDArray[np.int8]) -> Packed:
        """Arrange query codes, (q, dim)."""
        count, dim = codes.shape
        blocks, groups = -(-count // self.lanes), -(-dim // 4)
        padded = np.zeros((blocks * self.lanes, groups * 4), dtype=np.int8)
        padded[:count, :dim] = codes
        origin = -128 * padded.sum(axis=1, dtype=np.int32)
        grouped = padded.reshape(blocks, self.lanes, groups, 4).transpose(0, 2, 1, 3)
        return Packed(np.ascontiguousarray(grouped), origin, count, dim)

    def best(self, query: Packed, codes: Codes, scales: Floats, spans: Spans) -> Floats:
        """The best scaled product of each query token with each page, (pages, q) float32.

        Args:
            query: from `pack`.
            codes: (n, dim) uint8, each 128 above the signed value.
            scales: (n,) float32.
            spans: (2, pages) int64, the first row of each page and the row after its last; none is empty.

        Raises:
            ValueError: an array is not laid out as the kernel reads it, or a page lies outside.
        """
        blocks, _, lanes, _ = query.tokens.shape
        starts, ends = spans
        arrays = (codes, scales, starts, ends)
        dtypes = (np.uint8, np.float32, np.int64, np.int64)
        if not all(a.flags.c_contiguous and a.dtype == d for a, d in zip(arrays, dtypes, strict=True)):
            raise ValueError("the kernel reads contiguous uint8 codes, float32 scales and int64 spans")
        if codes.shape != (len(scales), query.dim):
            raise ValueError(f"codes {codes.shape}, scales {scales.shape} and query width {query.dim} differ")
        if len(starts) and (starts.min() < 0 or ends.max() > len(codes) or (starts >= ends).any()):
            raise ValueError("a page is empty or lies outside the codes")
        found = np.empty((len(starts), blocks * lanes), dtype=np.float32)
        self._maxsim(
            *(a.ctypes.data for a in arrays), len(starts), query.tokens.ctypes.data,
            query.origin.ctypes.data, blocks, lanes, query.dim, found.ctypes.data,
        )  # fmt: skip
        return found[:, : query.count]


@functools.cache
def kernel() -> Kernel | None:
    """The kernel, compiled if need be; None (with one line in the log) where it cannot be had."""
    try:
        found = Kernel(_compiled())
    except (OSError, subprocess.SubprocessError) as error:
        log.info("late interaction runs in torch, without the compiled kernel: %s", error)
        return None
    if not found.lanes:
        log.info("late interaction runs in torch: this processor has neither VNNI nor AVX2")
        return None
    if not _agrees(found):
        log.warning("the compiled kernel gives wrong products here; late interaction runs in torch")
        return None
    return found


def _compiled() -> Path:
    source = SOURCE.read_bytes()
    name = f"maxsim-{xxhash.xxh3_64_hexdigest(source + ' '.join(FLAGS).encode())}.so"
    folder = platformdirs.user_cache_path("recto") / "kernels"
    library = folder / name
    if library.exists():
        return library
    compiler = next((path for path in map(shutil.which, COMPILERS) if path), None)
    if compiler is None:
        raise OSError("no C compiler (cc, gcc or clang) is installed")
    folder.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=folder, suffix=".so")
    os.close(handle)
    try:
        command = [compiler, *FLAGS, "-o", temporary, str(SOURCE)]
        subprocess.run(command, check=True, capture_output=True, timeout=TIMEOUT_S)
        Path(temporary).replace(library)
    finally:
        Path(temporary).unlink(missing_ok=True)
    return library


def _agrees(found: Kernel) -> bool:
    rng = np.random.default_rng(0)
    query = rng.integers(-127, 128, size=(37, 19), dtype=np.int8)
    codes = rng.integers(1, 256, size=(43, 19), dtype=np.uint8)
    scales = rng.random(43, dtype=np.float32)
    spans = np.array([[0, 1, 18], [1, 18, 43]], dtype=np.int64)
    signed = codes.astype(np.int32) - 128
    products = (signed @ query.T.astype(np.int32)).astype(np.float32) * scales[:, None]
    wanted = np.maximum.reduceat(products, spans[0], axis=0)
    return bool(np.array_equal(found.best(found.pack(query), codes, scales, spans), wanted))
