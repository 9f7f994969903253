"""Threads that compute: how many, and torch starting none of its own in them."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from threading import Barrier


def available_cores() -> int:
    """Return the number of cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):  # not on every system
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


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
