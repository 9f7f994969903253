"""A study's trials: who runs one, how many count, which go back into the queue."""

import shutil
import socket
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import optuna
from optuna.exceptions import ExperimentalWarning, UpdateFinishedTrialError
from optuna.storages import RetryHeartbeatStaleTrialCallback
from optuna.trial import FrozenTrial, TrialState

MAX_RETRIES = 3  # of a trial whose worker died: it may be what kills them
CLAIMING = timedelta(seconds=60)  # more than a worker needs to sign a trial that it has taken

# user attributes of a trial
WORKER = "worker"  # who runs it
REASON = "reason"  # why it was pruned or failed
VALUES = "values"  # the metric of each seed that is done
SURPLUS = "surplus"  # it came after the total was reached


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
    """Fail and requeue the running trials of workers whose names so begin; return their numbers.

    Several processes may do so at once: the storage lets one of them fail a trial. One that nobody
    signed within a minute was taken by a worker that died just then.
    """
    retried = []
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        begun = trial.datetime_start or datetime.now()
        name = trial.user_attrs.get(WORKER, "" if datetime.now() - begun < CLAIMING else worker)
        if not name.startswith(worker):
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
