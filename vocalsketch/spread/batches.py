"""Spreads batches of work over threads, processes, or the machines of a Ray cluster."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from threading import Thread
from typing import TypeVar

from vocalsketch.errors import VocalSketchError
from vocalsketch.spread.cluster import cluster
from vocalsketch.spread.threads import computing_threads

AHEAD = 1_000  # batches handed out before one is done: those of a large library fill the memory
Batch = TypeVar("Batch")
Result = TypeVar("Result")


def spread(
    function: Callable[[Batch], Result],
    batches: Iterable[Batch],
    jobs: int,
    *,
    processes: bool = False,
    ray: str | None = None,
    shared: Path | None = None,
    stop: Callable[[], object] = lambda: None,
) -> Generator[Result, None, None]:
    """Yield what a function returns of each batch, in the order in which they are done.

    Args:
        function: Is called with one batch; for processes and Ray it has to be pickled. A batch
            that was lost with its machine is done again: what it writes has to appear whole, and
            be the same.
        batches: What it is called with.
        jobs: Threads or processes; a cluster has its own number.
        processes: Whether these are processes, which pure Python needs; one is this process.
        ray: The address of a Ray cluster that does the work, as ``cluster`` takes it.
        shared: A folder into which the function writes, which every machine has to see.
        stop: Called before running batches are waited for where this ends early.

    Raises:
        VocalSketchError: The function's; a process was killed; the cluster cannot be used.
    """
    if processes and jobs == 1 and ray is None:
        yield from map(function, batches)
        return
    with _workers(function, jobs, processes, ray, shared) as submit:
        waiting: set[Future[Result]] = set()
        try:
            for batch in batches:
                waiting.add(submit(batch))
                if len(waiting) >= AHEAD:
                    done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    yield from (each.result() for each in done)
            while waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (each.result() for each in done)
        except BaseException:
            stop()
            raise


def _workers(
    function: Callable[[Batch], Result],
    jobs: int,
    processes: bool,
    ray: str | None,
    shared: Path | None,
) -> AbstractContextManager[Callable[[Batch], Future[Result]]]:
    if ray is not None:
        return cluster(function, ray, shared)
    return _processes(function, jobs) if processes else _threads(function, jobs)


@contextmanager
def _threads(
    function: Callable[[Batch], Result], jobs: int
) -> Iterator[Callable[[Batch], Future[Result]]]:
    with computing_threads(jobs) as pool:
        yield lambda batch: pool.submit(function, batch)


@contextmanager
def _processes(
    function: Callable[[Batch], Result], jobs: int
) -> Iterator[Callable[[Batch], Future[Result]]]:
    others = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")  # a fork would inherit threads halfway
    with ProcessPoolExecutor(jobs, context, _end_with_parent) as pool:
        try:
            yield lambda batch: pool.submit(function, batch)
        except BrokenProcessPool as error:
            raise VocalSketchError(
                "A process was killed; memory may be short: give fewer --jobs. The same command "
                "goes on where it was."
            ) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in set(multiprocessing.active_children()) - others:
                process.kill()  # what they write appears whole
            raise


def _end_with_parent() -> None:
    """Have this process end with the one that began it, however that ends, and not before."""
    for each in (signal.SIGINT, signal.SIGTERM):  # which go to a whole group of processes
        signal.signal(each, signal.SIG_IGN)

    def wait_for_parent() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    Thread(target=wait_for_parent, daemon=True).start()
