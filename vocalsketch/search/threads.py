"""Threads that last, in each of which torch computes alone."""

import threading
from concurrent.futures import ThreadPoolExecutor

import torch

from vocalsketch.features.threads import one_torch_thread


def lasting_pool(threads: int) -> ThreadPoolExecutor:
    """Return threads in each of which torch computes alone, for as long as they live.

    A thread keeps the number that torch is set to when the thread first asks for it.
    """
    ready = threading.Barrier(threads)
    pool = ThreadPoolExecutor(threads, initializer=torch.get_num_threads)
    with one_torch_thread():
        for _ in pool.map(lambda _: ready.wait(), range(threads)):
            pass
    return pool
