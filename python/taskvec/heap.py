"""The C library's heap."""

from __future__ import annotations

import ctypes
import sys
from functools import cache

MMAP_THRESHOLD = -3  # of glibc's malloc.h
LARGE_BYTES = 2**20


@cache
def free_large() -> None:
    """From now on, memory of arrays of LARGE_BYTES goes back to the system when they are freed.

    glibc raises its own limit to 32 MiB as such arrays come and go, and then keeps them in the heaps of threads: 250 to
    450 MiB in a sweep. It is set for the whole process; nothing happens where the C library is not glibc.
    """
    if sys.platform == "linux" and (set_option := getattr(ctypes.CDLL(None), "mallopt", None)) is not None:
        set_option(MMAP_THRESHOLD, LARGE_BYTES)
