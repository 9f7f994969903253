"""Clearing up after trials that failed."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna.trial import TrialState

from vocalsketch.sweep.retry import first_attempt, left_on_this_host, retry_running
from vocalsketch.sweep.trial import trial_folder


@dataclass(frozen=True)
class Cleaning:
    """What was done.

    Attributes:
        retried: Numbers of the trials of dead workers that were put back into the queue.
        removed: Folders that were removed.
        freed: Bytes that they held.
    """

    retried: list[int]
    removed: list[Path]
    freed: int


def prune_failed(study: optuna.Study, folder: Path) -> Cleaning:
    """Queue the trials of this host's dead workers; remove the folders of failed trials.

    A folder that a waiting, running or finished attempt uses is kept: attempts of one trial share
    the folder named after the first.
    """
    retried = retry_running(study, left_on_this_host)
    trials = study.get_trials(deepcopy=False)
    used = {first_attempt(trial) for trial in trials if trial.state != TrialState.FAIL}
    failed = {first_attempt(trial) for trial in trials if trial.state == TrialState.FAIL}
    removed, freed = [], 0
    for number in sorted(failed - used):
        path = trial_folder(folder, number)
        if path.is_dir():
            freed += sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
            shutil.rmtree(path)
            removed.append(path)
    return Cleaning(retried, removed, freed)
