"""Where studies are kept, SQLite or PostgreSQL, and how one is opened there."""

import re
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from vocalsketch.errors import ConfigError, StorageError
from vocalsketch.files import make_folder
from vocalsketch.sweep.trials import experimental, requeue

HEARTBEAT = 15  # seconds between a running trial's signs of life
GRACE = 60  # seconds without one after which another worker takes the trial over
WAITS = (1.0, 2.0, 4.0, 8.0, 16.0)  # seconds before each further attempt to reach a storage
SQLITE = "sqlite:///"
FORMS = f"{SQLITE}FILE or postgresql://USER:PASSWORD@HOST/DATABASE"
STORAGE_FAULTS: tuple[type[Exception], ...] = (SQLAlchemyError, StorageInternalError)

Answer = TypeVar("Answer")


class PersistentStorage(optuna.storages.RDBStorage):
    """Optuna's storage whose signs of life go on after the database was away for a while."""

    def record_heartbeat(self, trial_id: int) -> None:
        """Record that a trial is alive, where the database can be told so."""
        with suppress(*STORAGE_FAULTS):
            super().record_heartbeat(trial_id)


def open_storage(
    url: str,
    *,
    heartbeat: int = HEARTBEAT,
    grace: int = GRACE,
    sleep: Callable[[float], None] = time.sleep,
) -> BaseStorage:
    """Open a storage, made where it does not exist yet.

    ``url`` is one of ``FORMS``; a file's name stands there as it is, whatever is in it.

    Raises:
        ConfigError: The url has another form, or its driver is not installed.
        StorageError: The storage does not answer, after several attempts.
    """
    settings: dict[str, Any]
    if url.startswith(SQLITE):
        file = Path(url.removeprefix(SQLITE))
        if not file.exists():
            make_folder(file.parent)
        # opened here: in a url ? and # would not belong to the name; writers wait for one another
        connect = partial(sqlite3.connect, file, timeout=60, check_same_thread=False)
        engine, settings = f"{SQLITE}study.db", {"creator": connect}
    else:
        check_url(url)
        engine = re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", url)
        settings = {"pool_pre_ping": True}  # a connection that broke is opened anew

    def opened() -> BaseStorage:
        with experimental():
            return PersistentStorage(
                engine,
                engine_kwargs=settings,
                heartbeat_interval=heartbeat,
                grace_period=grace,
                heartbeat_stale_trial_callback=requeue,
            )

    try:
        return patiently(opened, url, sleep)
    except ImportError as error:
        raise ConfigError(
            f"storage is {shown(url)!r}, whose driver is not installed: for PostgreSQL, pip "
            "install 'vocalsketch[postgres]'."
        ) from error


def check_url(url: str) -> None:
    """Check the form of a storage's url.

    Raises:
        ConfigError: It is another; nothing of a password is shown.
    """
    if url.startswith(SQLITE):
        return
    if not url.startswith(("postgresql://", "postgresql+", "postgres://")):
        raise ConfigError(f"storage is {shown(url)!r}: give {FORMS}.")
    try:
        sound = url.count("@") < 2 and bool(make_url(url))
    except (ArgumentError, ValueError):
        sound = False
    if not sound:
        raise ConfigError(
            f"storage is {shown(url)!r}, which cannot be taken apart: in a name or a password "
            "write special characters percent-encoded, %40 for @, %3A for :, %2F for /, %23 for #, "
            "%3F for ?, %25 for %."
        )


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
    """Return a storage's url without its password, whatever is in that.

    >>> shown("postgresql://me:secret@host/studies")
    'postgresql://me:***@host/studies'
    """
    if url.startswith(SQLITE):
        return url
    hidden = re.sub(r"(://[^:/@]*):.*@", r"\1:***@", url, flags=re.DOTALL)
    return re.sub(r"(password=)[^&]*", r"\1***", hidden)


def _reason(error: Exception) -> str:
    cause = error.__cause__ or error
    origin = getattr(cause, "orig", None) or cause
    lines = str(origin).strip().splitlines()
    return lines[0] if lines else type(origin).__name__
