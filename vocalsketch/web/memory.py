"""Keeping the server's memory flat while many threads search."""

import ctypes
import sys
from contextlib import suppress

M_MMAP_THRESHOLD = -3  # of glibc's mallopt
LARGE = 128 * 1024  # bytes; glibc's own choice, before it adapts


def give_large_arrays_back() -> None:
    """Have the allocator return a large array's memory to the system when it is freed.

    By itself glibc soon keeps arrays of up to 32 MB for later ones, in a heap for each thread,
    whose gaps grow for as long as many threads search at once. On other systems, and with other
    C libraries, nothing is done.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE)
