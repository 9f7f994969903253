"""What a process computes with: threads, torch starting none of its own in them, and memory."""

import ctypes
import os
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache
from threading import Barrier


def available_cores() -> int:
    """Return the number of cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):  # not on every system
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def set_allocation(options: Mapping[int, int]) -> None:
    """Set how this process keeps memory that is freed, by the numbers of glibc's mallopt(3).

    On other systems, and with other C libraries, nothing is done.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library
            for option, value in options.items():
                ctypes.CDLL(None).mallopt(option, value)


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Keep torch from starting threads of its own in threads that begin within the block."""
    # Imported here: the number of cores is asked for by commands that need no torch.
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@cache
def lasting_pool(threads: int) -> ThreadPoolExecutor:
    """Return threads in each of which torch computes alone, for as long as the program runs.

    A thread keeps the number that torch is set to when the thread first asks for it.
    """
    import torch

    ready = Barrier(threads)
    pool = ThreadPoolExecutor(threads, initializer=torch.get_num_threads)
    with one_torch_thread():
        for _ in pool.map(lambda _: ready.wait(), range(threads)):
            pass
    return pool
