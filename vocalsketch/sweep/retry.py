"""Trials whose worker died or was stopped go back into the queue."""

import os
import socket
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from vocalsketch.sweep.experimental import experimental

MAX_RETRIES = 3  # of a trial whose worker died: it may be what kills them
CLAIMING = timedelta(seconds=60)  # more than a worker needs to sign a trial that it has taken
WORKER = "worker"  # user attribute: who runs a trial
HISTORY = "retry_history"  # Optuna's system attribute: the numbers of a trial's former attempts


def first_attempt(trial: FrozenTrial) -> int:
    """Return the number under which a trial was first run, after which its folder is named."""
    return int(trial.system_attrs.get(HISTORY, [trial.number])[0])


def requeue(study: optuna.Study, trial: FrozenTrial, max_retry: int | None = MAX_RETRIES) -> None:
    """Put a failed trial back into the queue, with its parameters and what it reported.

    Args:
        study: The study.
        trial: The failed trial.
        max_retry: How often at most; None for always.
    """
    # what waits has no owner: an old signature would pass for that of whoever takes it next
    trial.user_attrs = {key: value for key, value in trial.user_attrs.items() if key != WORKER}
    with experimental():
        optuna.storages.RetryHeartbeatStaleTrialCallback(
            max_retry=max_retry, inherit_intermediate_values=True
        )(study, trial)


def retry_running(
    study: optuna.Study,
    is_abandoned: Callable[[FrozenTrial], bool],
    max_retry: int | None = MAX_RETRIES,
) -> list[int]:
    """Fail and requeue the running trials that were abandoned; return their numbers.

    Several processes may do so at once: the storage lets one of them fail a trial.
    """
    retried = []
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        if not is_abandoned(trial):
            continue
        try:
            study.tell(trial.number, state=TrialState.FAIL)
        except (UpdateFinishedTrialError, ValueError):
            continue  # another process was faster
        requeue(study, trial, max_retry)
        retried.append(trial.number)
    return retried


def worker_name(pid: int | None = None) -> str:
    """Return the signature of a process: host, process id and when the process began."""
    pid = os.getpid() if pid is None else pid
    return f"{socket.gethostname()}/{pid}/{_began(pid)}"


def left_on_this_host(trial: FrozenTrial) -> bool:
    """Return whether a running trial's worker was on this host and lives no more.

    A trial that nobody signed within a minute was taken by a worker that died just then.
    """
    signature = trial.user_attrs.get(WORKER)
    if signature is None:
        begun = trial.datetime_start
        return begun is not None and datetime.now() - begun > CLAIMING
    host, pid, began = str(signature).rsplit("/", 2)
    return host == socket.gethostname() and _began(int(pid)) != began


def _began(pid: int) -> str:
    """Return when a process began; an empty text where there is none (any more)."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return _signalled(pid)
    return "" if status[0] == "Z" else status[19]


def _signalled(pid: int) -> str:
    """Without /proc: whether there is such a process at all."""
    if Path("/proc/self").exists():
        return ""
    try:
        os.kill(pid, 0)
    except OSError:
        return ""
    return "alive"
