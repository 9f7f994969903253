"""Where studies are kept, SQLite or PostgreSQL; who runs their trials, how many count."""

import re
import shutil
import socket
import sqlite3
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import optuna
from optuna.exceptions import (
    ExperimentalWarning,
    StorageInternalError,
    UpdateFinishedTrialError,
)
from optuna.storages import BaseStorage, RetryHeartbeatStaleTrialCallback
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from vocalsketch.errors import ConfigError, StorageError
from vocalsketch.files import make_folder

HEARTBEAT = 15  # seconds between a running trial's signs of life
GRACE = 60  # seconds without one after which another worker takes the trial over
WAITS = (1.0, 2.0, 4.0, 8.0, 16.0)  # seconds before each further attempt to reach a storage
SQLITE = "sqlite:///"
FORMS = f"{SQLITE}FILE or postgresql://USER:PASSWORD@HOST/DATABASE"
STORAGE_FAULTS: tuple[type[Exception], ...] = (SQLAlchemyError, StorageInternalError)

Answer = TypeVar("Answer")
MAX_RETRIES = 3  # of a trial whose worker died: it may be what kills them
CLAIMING = timedelta(seconds=60)  # more than a worker needs to sign a trial that it has taken

# user attributes of a trial
WORKER = "worker"  # who runs it
REASON = "reason"  # why it was pruned or failed
VALUES = "values"  # the metric of each seed that is done
SURPLUS = "surplus"  # it came after the total was reached


class PersistentStorage(optuna.storages.RDBStorage):
    """Optuna's storage whose signs of life go on after the database was away for a while."""

    def record_heartbeat(self, trial_id: int) -> None:
        """Record that a trial is alive, where the database can be told so."""
        with suppress(*STORAGE_FAULTS):
            super().record_heartbeat(trial_id)


def open_storage(url: str, *, sleep: Callable[[float], None] = time.sleep) -> BaseStorage:
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
                heartbeat_interval=HEARTBEAT,
                grace_period=GRACE,
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
    with suppress(ArgumentError, ValueError):
        if url.count("@") < 2 and make_url(url):
            return
    raise ConfigError(
        f"storage is {shown(url)!r}, which cannot be taken apart: in a name or a password write "
        "special characters percent-encoded, %40 for @, %3A for :, %2F for /, %23 for #, %3F for "
        "?, %25 for %."
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


@contextmanager
def experimental() -> Iterator[None]:
    """Use what Optuna calls experimental (heartbeat, retry, some samplers) without its warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield


def first_attempt(trial: FrozenTrial) -> int:
    """Return the number under which a trial was first run, after which its folder is named."""
    with experimental():
        first = RetryHeartbeatStaleTrialCallback.retried_trial_number(trial)
    return trial.number if first is None else int(first)


def trial_folder(folder: Path, first: int) -> Path:
    """Return the folder of a trial, named after the number of its first attempt."""
    return folder / "trials" / f"{first:05d}"


def workers_of(folder: Path, number: int | None = None) -> str:
    """Return the folder of a worker of this host, which is its name, or how all such begin."""
    own = folder.resolve() / "workers" / f"{socket.gethostname()}-"
    return f"{own}{'' if number is None else f'{number:03d}'}"


def requeue(study: optuna.Study, trial: FrozenTrial, max_retry: int | None = MAX_RETRIES) -> None:
    """Put a failed trial back into the queue, with its parameters and what it reported."""
    # what waits has no owner: an old signature would pass for that of whoever takes it next
    trial.user_attrs = {key: value for key, value in trial.user_attrs.items() if key != WORKER}
    with experimental():
        RetryHeartbeatStaleTrialCallback(max_retry=max_retry, inherit_intermediate_values=True)(
            study, trial
        )


def retry_running(
    study: optuna.Study, worker: str, max_retry: int | None = MAX_RETRIES
) -> list[int]:
    """Fail and requeue the running trials of a worker, or of all whose names so begin.

    Return their numbers. What follows is digits: another host's name may go on after this one's.

    Several processes may do so at once: the storage lets one of them fail a trial. One that nobody
    signed within a minute was taken by a worker that died just then.
    """
    retried = []
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        begun = trial.datetime_start or datetime.now()
        name = trial.user_attrs.get(WORKER, "" if datetime.now() - begun < CLAIMING else worker)
        if not re.fullmatch(rf"{re.escape(worker)}\d*", name):
            continue
        try:
            study.tell(trial.number, state=TrialState.FAIL)
        except (UpdateFinishedTrialError, ValueError):
            continue  # another process was faster
        requeue(study, trial, max_retry)
        retried.append(trial.number)
    return retried


@dataclass(frozen=True)
class Tally:
    """Trials of a study by what became of them."""

    complete: int = 0  # trained and scored
    pruned: int = 0  # ended early, or impossible to build
    running: int = 0  # being trained
    waiting: int = 0  # in the queue to be tried again
    failed: int = 0  # ended by an error, and not tried again
    retried: int = 0  # attempts that broke off; a later trial is their next attempt

    @property
    def finished(self) -> int:
        """Trials that count towards the total: complete or pruned."""
        return self.complete + self.pruned

    def __str__(self) -> str:
        return (
            f"{self.finished} finished ({self.complete} complete, {self.pruned} pruned), "
            f"{self.running} running, {self.waiting} waiting, {self.failed} failed, "
            f"{self.retried} attempts broke off and were tried again"
        )


def take_tally(trials: Sequence[FrozenTrial]) -> Tally:
    """Count the trials of a study; those that came after the total was reached count nowhere."""
    with experimental():
        history = RetryHeartbeatStaleTrialCallback.retry_history
        again = {number for trial in trials for number in history(trial)}

    def fate(trial: FrozenTrial) -> str:
        if trial.state != TrialState.FAIL:
            return trial.state.name.lower()
        return "retried" if trial.number in again else "failed"

    counted = [t for t in trials if t.state != TrialState.FAIL or not t.user_attrs.get(SURPLUS)]
    return Tally(**Counter(map(fate, counted)))


def is_within(trials: Sequence[FrozenTrial], number: int, total: int) -> bool:
    """Return whether trial ``number`` may run in a study of ``total`` finished trials.

    It may if fewer than ``total`` trials before it have not failed. Trials are numbered by the
    storage, one after the other, and a trial that failed stays so; hence no more than ``total``
    can finish however many workers ask at once: the last of ``total + 1`` would have found
    ``total`` before it.
    """
    before = sum(trial.number < number and trial.state != TrialState.FAIL for trial in trials)
    return before < total


def prune_failed(study: optuna.Study, folder: Path) -> list[Path]:
    """Remove and return the folders of failed trials.

    One that a waiting, running or finished attempt uses is kept: attempts of one trial share the
    folder named after the first.
    """
    trials = study.get_trials(deepcopy=False)
    failed, used = (
        {first_attempt(trial) for trial in trials if (trial.state == TrialState.FAIL) is fail}
        for fail in (True, False)
    )
    folders = [trial_folder(folder, number) for number in sorted(failed - used)]
    there = [each for each in folders if each.is_dir()]
    for each in there:
        shutil.rmtree(each)
    return there
