"""A Ray cluster as workers: what a lost machine had is done again by others."""

import logging
import os
import pickle
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import vocalsketch
from vocalsketch.errors import ConfigError, VocalSketchError
from vocalsketch.spread.threads import one_torch_thread

RETRIES = 5  # of a batch that was lost with its process or machine
PATIENCE = 10  # seconds until an address counts as one at which nobody answers
TRIES = "3"  # of Ray, ten seconds each, where something else answers there
Batch = TypeVar("Batch")
Result = TypeVar("Result")
# A function and a batch, pickled, to what is wrong, or nothing, and the result.
Task = Callable[[bytes, bytes], tuple[str | VocalSketchError, Any]]


@contextmanager
def cluster(
    function: Callable[[Batch], Result], address: str, shared: Path | None = None
) -> Iterator[Callable[[Batch], Future[Result]]]:
    """Yield what has a cluster call ``function`` with a batch, each on one core of some machine.

    Args:
        function: It is pickled, once, and each worker keeps it.
        address: ``HOST:PORT`` of a cluster of which this machine is a part, or ``ray://HOST:PORT``
            of any; if empty that of ``RAY_ADDRESS``, else of the one that was begun on this
            machine, else a new one of this machine alone.
        shared: A folder that every machine has to see.

    Raises:
        ConfigError: Ray is not installed, or the cluster cannot be joined.
    """
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

    It travels as it stands here, so that a worker without this package can say so.

    Args:
        wanted: Versions by package.
        marker: A file that the worker has to see.
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
            return (
                f"{host} does not see {Path(marker).parent}: give a folder on a shared disk.",
                None,
            )
        from vocalsketch.spread.cluster import called

        return called(function, batch)

    return task


def called(function: bytes, batch: bytes) -> tuple[str | VocalSketchError, Any]:
    """Call a function as ``spread`` takes it, in a worker: return the error or the result."""
    try:
        with one_torch_thread():
            return "", _kept(function)(pickle.loads(batch))  # noqa: S301  # from the driver
    except VocalSketchError as error:
        return error, None


@lru_cache(maxsize=1)
def _kept(function: bytes) -> Callable[[Any], Any]:
    """Return a function, which may hold a network, without reading it anew for each batch."""
    read: Callable[[Any], Any] = pickle.loads(function)  # noqa: S301  # from the driver
    return read


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
