"""Who computes features: threads, or processes where there is enough to do for them to start."""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager

import torch

from vocalsketch.features.threads import one_torch_thread

# Threads share Python's lock, which reading and transforming a clip hold for about a tenth of
# their time. A process shares nothing, but needs 2 to 3 seconds to load torch.
ENOUGH_FOR_PROCESSES = 20_000  # clips
WATCH = 2  # seconds between looks whether the parent lives


@contextmanager
def workers(jobs: int, clips: int) -> Iterator[Executor]:
    """Yield ``jobs`` workers, in each of which torch computes alone.

    Work that has not begun is dropped when the block fails; processes are ended then.

    Args:
        jobs: How many.
        clips: How many clips there are to compute.
    """
    # a daemon may have no children
    alone = jobs == 1 or multiprocessing.current_process().daemon
    if alone or clips < ENOUGH_FOR_PROCESSES:
        with one_torch_thread(), _threads(jobs) as pool:
            yield pool
    else:
        with _processes(jobs) as pool:
            yield pool


@contextmanager
def _threads(jobs: int) -> Iterator[Executor]:
    with ThreadPoolExecutor(jobs) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


@contextmanager
def _processes(jobs: int) -> Iterator[Executor]:
    """Yield processes that are started afresh: a fork would inherit torch's threads halfway."""
    # Imported here because few jobs are so large. Unlike the standard library's it does not run
    # the caller's script once more in each process.
    from loky import ProcessPoolExecutor

    pool = ProcessPoolExecutor(jobs, initializer=_begin, initargs=(os.getpid(),))
    try:
        yield pool
    except BaseException:
        pool.shutdown(kill_workers=True)
        raise
    pool.shutdown()


def _begin(parent: int) -> None:
    """Make a process ready: torch computes alone, and the process ends when its parent does."""
    torch.set_num_threads(1)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(WATCH)
    os._exit(1)


@contextmanager
def deaf_children() -> Iterator[None]:
    """Keep Ctrl-C from processes that start within the block: their parent ends them."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
