"""Where a study is kept: SQLite or a journal on one machine, PostgreSQL or gRPC for many."""

import re
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage
from optuna.storages.journal import JournalFileBackend
from sqlalchemy.exc import SQLAlchemyError

from vocalsketch.errors import ConfigError, StorageError
from vocalsketch.sweep.experimental import experimental
from vocalsketch.sweep.retry import requeue

HEARTBEAT = 15  # seconds between a running trial's signs of life
GRACE = 60  # seconds without one after which another worker takes the trial over
WAITS = (1.0, 2.0, 4.0, 8.0, 16.0)  # seconds before each further attempt to reach a storage
FORMS = "sqlite:///FILE, journal:FILE, postgresql://USER:PASSWORD@HOST/DATABASE or grpc://HOST:PORT"


def _database_faults() -> tuple[type[Exception], ...]:
    """Return what databases raise, and Optuna's proxy where its driver is installed."""
    faults: tuple[type[Exception], ...] = (SQLAlchemyError, StorageInternalError)
    if find_spec("grpc") is not None:
        faults = (*faults, import_module("grpc").RpcError)
    return faults


DATABASE_FAULTS: tuple[type[Exception], ...] = _database_faults()
# OSError is what a journal meets, and too common elsewhere to blame on a database
STORAGE_FAULTS: tuple[type[Exception], ...] = (*DATABASE_FAULTS, OSError)

Answer = TypeVar("Answer")


class PersistentStorage(optuna.storages.RDBStorage):
    """Optuna's storage whose signs of life go on after the database was away for a while."""

    def record_heartbeat(self, trial_id: int) -> None:
        """Record that a trial is alive, where the database can be told so."""
        with suppress(*DATABASE_FAULTS):
            super().record_heartbeat(trial_id)


def open_storage(
    url: str,
    *,
    heartbeat: int = HEARTBEAT,
    grace: int = GRACE,
    sleep: Callable[[float], None] = time.sleep,
) -> BaseStorage:
    """Open a storage, made where it does not exist yet.

    Args:
        url: One of ``FORMS``.
        heartbeat: Seconds between a running trial's signs of life (SQLite and PostgreSQL).
        grace: Seconds without one after which the trial is retried.
        sleep: Waits between attempts.

    Raises:
        ConfigError: The url has another form, or its driver is not installed.
        StorageError: The storage does not answer, after several attempts.
    """
    if url.startswith("journal:"):
        return patiently(lambda: _journal(url.removeprefix("journal:")), url, sleep)
    if url.startswith("grpc://"):
        return patiently(lambda: _proxy(url), url, sleep)
    if not url.startswith(("sqlite:///", "postgresql", "postgres://", "mysql")):
        raise ConfigError(f"storage is {shown(url)!r}: give {FORMS}.")
    return patiently(lambda: _database(url, heartbeat, grace), url, sleep)


def patiently(
    ask: Callable[[], Answer], url: str, sleep: Callable[[float], None] = time.sleep
) -> Answer:
    """Ask a storage; where it does not answer wait and ask again, longer each time.

    Raises:
        StorageError: It did not answer the last time either.
    """
    for wait in (*WAITS, None):
        try:
            return ask()
        except STORAGE_FAULTS as error:
            reason = _reason(error)
            if wait is None:
                raise StorageError(
                    f"The study's storage {shown(url)} does not answer ({reason}), asked "
                    f"{len(WAITS) + 1} times in {sum(WAITS):g} s. Start it, or check --storage; "
                    "the same command then goes on."
                ) from error
            print(f"Storage {shown(url)}: {reason}; next try in {wait:g} s.", flush=True)
            sleep(wait)
    raise AssertionError("the last attempt returns or raises")


def shown(url: str) -> str:
    """Return a storage's url without its password.

    >>> shown("postgresql://me:secret@host/studies")
    'postgresql://me:***@host/studies'
    """
    return re.sub(r"(://[^:/@]*):.*@", r"\1:***@", url)


def check_exists(url: str) -> None:
    """Check that a storage that is a file exists: opening it would make it.

    Raises:
        ConfigError: There is no such file.
    """
    file = re.fullmatch(r"(?:sqlite:///|journal:)(.+)", url)
    if file and not Path(file[1]).exists():
        raise ConfigError(
            f"No study at {file[1]}: begin one with `vocalsketch sweep run`, or check --folder and "
            "--storage."
        )


def make_folder(path: Path) -> Path:
    """Make a folder, and those above it, where there is none; return it.

    Raises:
        StorageError: It cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"Cannot make the folder {path} ({error.strerror}): check --folder and --storage."
        ) from error
    return path


def _database(url: str, heartbeat: int, grace: int) -> BaseStorage:
    if url.startswith("sqlite:///"):
        make_folder(Path(url.removeprefix("sqlite:///")).parent)
        # a writer waits this long for the others before it gives up
        options: dict[str, Any] = {"connect_args": {"timeout": 60}}
    else:
        # a connection that broke since it was last used is opened anew
        options = {"pool_pre_ping": True}
    url = re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", url)
    try:
        with experimental():
            return PersistentStorage(
                url,
                engine_kwargs=options,
                heartbeat_interval=heartbeat,
                grace_period=grace,
                heartbeat_stale_trial_callback=requeue,
            )
    except ImportError as error:
        raise ConfigError(
            f"storage is {shown(url)!r}, whose driver is not installed: for PostgreSQL, pip "
            "install 'vocalsketch[postgres]'."
        ) from error


def _journal(path: str) -> BaseStorage:
    make_folder(Path(path).parent)
    backend = JournalFileBackend(path)
    try:
        return optuna.storages.JournalStorage(backend)
    except (AssertionError, LookupError, TypeError, ValueError) as error:
        raise StorageError(
            f"{path} is no journal of studies, or damaged ({error}): restore it, or give another."
        ) from error


def _proxy(url: str) -> BaseStorage:
    form = re.fullmatch(r"grpc://([^:/]+):(\d+)", url)
    if not form:
        raise ConfigError(f"storage is {url!r}: give grpc://HOST:PORT.")
    try:
        with experimental():
            return optuna.storages.GrpcStorageProxy(host=form[1], port=int(form[2]))
    except ImportError as error:
        raise ConfigError(
            "grpc:// needs grpcio and protobuf: pip install 'vocalsketch[proxy]'."
        ) from error


def _reason(error: Exception) -> str:
    cause = error.__cause__ or error
    origin = getattr(cause, "orig", None) or cause
    details = getattr(origin, "details", None)  # gRPC's
    lines = str(details() if callable(details) else origin).strip().splitlines()
    return lines[0] if lines else type(origin).__name__
