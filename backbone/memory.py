"""Memory that large products leave behind, given back to the system."""

import ctypes
import functools
import sys

LARGE_BYTES = 4 << 20
_MMAP_THRESHOLD = -3  # M_MMAP_THRESHOLD of malloc.h


@functools.cache
def give_back_large() -> bool:
    """Let every block of four megabytes or more go back to the system as soon as it is freed; says whether it could.

    glibc raises that limit to 32 MB by itself once such blocks were freed; what a page's convolutions need then stays
    in heaps of every thread and is never given back: 24 pages left 400 MB with two threads, and 50 MB with a fixed
    limit of one megabyte. Taking blocks back costs page faults, dear on virtual machines: of 24 pages' time in bytes
    18% with one megabyte and 8% with four, for 11 MB more. Other C libraries are left as they are.
    """
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None)
    return hasattr(libc, "gnu_get_libc_version") and bool(libc.mallopt(_MMAP_THRESHOLD, LARGE_BYTES))
