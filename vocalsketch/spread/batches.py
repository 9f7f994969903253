"""Spreads batches of work over threads, processes, or the machines of a Ray cluster."""

import logging
import multiprocessing
import os
import pickle
import signal
import socket
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import (
    FIRST_COMPLETED,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar
from urllib.parse import urlsplit

import vocalsketch
from vocalsketch.errors import ConfigError, VocalSketchError
from vocalsketch.spread.threads import one_torch_thread

AHEAD = 1_000  # batches handed out before one is done: those of a large library fill the memory
RETRIES = 5  # of a batch that was lost with its process or machine
PATIENCE = 10  # seconds until an address counts as one at which nobody answers
TRIES = "3"  # of Ray, ten seconds each, where something else answers there
Batch = TypeVar("Batch")
Result = TypeVar("Result")
# a function may hold a network, which is not read anew for each batch
_kept = lru_cache(maxsize=1)(pickle.loads)
# A function and a batch, pickled, to what is wrong, or nothing, and the result.
Task = Callable[[bytes, bytes], tuple[str | VocalSketchError, Any]]


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
        ray: The address of a Ray cluster that does the work, each batch on one core:
            ``HOST:PORT`` of one of which this machine is a part, or ``ray://HOST:PORT`` of any; if
            empty that of ``RAY_ADDRESS``, else of the one that was begun here, else a new one.
        shared: A folder into which the function writes, which every machine has to see.
        stop: Called before running batches are waited for where this ends early.

    Raises:
        VocalSketchError: The function's; a process was killed; a batch was lost.
        ConfigError: Ray is not installed, or the cluster cannot be joined.
    """
    if processes and jobs == 1 and ray is None:
        yield from map(function, batches)
        return
    workers: AbstractContextManager[Callable[[Batch], Future[Result]]] = (
        _cluster(function, ray, shared)
        if ray is not None
        else (_processes if processes else _threads)(function, jobs)
    )
    with workers as submit:
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


@contextmanager
def _threads(
    function: Callable[[Batch], Result], jobs: int
) -> Iterator[Callable[[Batch], Future[Result]]]:
    with one_torch_thread(), ThreadPoolExecutor(jobs) as pool:
        try:
            yield lambda batch: pool.submit(function, batch)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


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


@contextmanager
def _cluster(
    function: Callable[[Batch], Result], address: str, shared: Path | None = None
) -> Iterator[Callable[[Batch], Future[Result]]]:
    begun = _joined(address)
    import ray

    try:
        with tempfile.NamedTemporaryFile(prefix=".ray-", suffix=".tmp", dir=shared) as marker:
            task = checked_task(versions(), marker.name if shared else None)
            remote = ray.remote(num_cpus=1, max_retries=RETRIES)(task)
            kept = ray.put(pickle.dumps(function))
            yield lambda batch: _result(remote.remote(kept, pickle.dumps(batch)))
    finally:
        if begun:
            ray.shutdown()


def versions() -> dict[str, str]:
    """Return the versions that every machine has to have."""
    return {"vocalsketch": vocalsketch.__version__, "torch": version("torch").partition("+")[0]}


def checked_task(wanted: Mapping[str, str], marker: str | None) -> Task:
    """Return what a worker runs: function and batch, pickled, to what is wrong and the result.

    It travels as it stands here, so that a worker without this package can say so, or one that does
    not see the file ``marker``.
    """

    def task(function: bytes, batch: bytes) -> tuple[Any, Any]:  # names nothing of this package
        import socket
        from importlib import import_module
        from pathlib import Path

        host = f"The worker on {socket.gethostname()}"
        for name, ours in wanted.items():
            try:
                theirs = import_module(name).__version__.partition("+")[0]
            except ImportError as error:
                theirs = f"none that can be imported ({error})"
            if theirs != ours:
                return f"{host} has {name} {theirs}: install {ours} there, as it is here.", None
        if marker is not None and not Path(marker).exists():
            seen = f"{host} does not see {Path(marker).parent}: give a folder on a shared disk."
            return seen, None
        from vocalsketch.spread.batches import called

        return called(function, batch)

    return task


def called(function: bytes, batch: bytes) -> tuple[str | VocalSketchError, Any]:
    """Call a function as ``spread`` takes it, in a worker: return the error or the result."""
    try:
        with one_torch_thread():
            return "", _kept(function)(pickle.loads(batch))  # noqa: S301  # from the driver
    except VocalSketchError as error:
        return error, None


def _result(reference: Any) -> Future[Any]:
    """Return the future of what a task says."""
    from ray.exceptions import RayError, RayTaskError

    told: Future[Any] = Future()

    def tell(done: Future[tuple[str | VocalSketchError, Any]]) -> None:
        error = done.exception()
        if error is None:
            wrong, value = done.result()
            error = VocalSketchError(wrong) if isinstance(wrong, str) and wrong else wrong or None
        elif isinstance(error, RayError) and not isinstance(error, RayTaskError):
            error = VocalSketchError(
                f"A batch was lost {RETRIES + 1} times ({error}); memory may be short. The same "
                "command goes on where it was."
            )
        told.set_exception(error) if error else told.set_result(value)

    reference.future().add_done_callback(tell)
    return told


def _joined(address: str) -> bool:
    """Join a cluster, or begin one; return whether it has to be left again."""
    try:
        import ray
    except ImportError as error:
        raise ConfigError("Ray is not installed: `pip install 'vocalsketch[ray]'`.") from error
    if ray.is_initialized():
        return False
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would tell its makers of each use
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else it warns
    address = address or os.environ.get("RAY_ADDRESS", "")
    try:
        if address not in ("", "auto", "local"):
            place = urlsplit(address if "://" in address else f"//{address}")
            with socket.create_connection((place.hostname, place.port), PATIENCE):
                os.environ.setdefault("RAY_gcs_server_port_wait_time_s", TRIES)
        ray.init(address or None, logging_level=logging.ERROR, log_to_driver=False)
    except (OSError, RuntimeError, ValueError, TypeError) as error:
        raise ConfigError(
            f"The Ray cluster at {address or 'this machine'} cannot be joined ({error}): give the "
            "HOST:PORT that `ray start --head` names, or ray://HOST:PORT."
        ) from error
    return True
