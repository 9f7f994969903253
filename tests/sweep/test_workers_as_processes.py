"""Workers as processes: killed, interrupted and started again."""

import contextlib
import dataclasses
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from vocalsketch.errors import ConfigError
from vocalsketch.jobs.job import Slot
from vocalsketch.sweep.definition import Definition, StudyError, open_study, read_definition
from vocalsketch.sweep.run import StudyWatcher, checked, run_study, run_workers
from vocalsketch.sweep.storage import WORKER, take_tally

SLOTS = [Slot("cpu", environment={"OMP_NUM_THREADS": "1"})] * 2
PATIENCE = 120.0  # seconds; a worker imports torch first


@pytest.fixture
def long_study(study_file: Callable[..., Path]) -> Definition:
    """Trials of a second or two, so that they can be killed half way."""
    return checked(read_definition(study_file(), {"trainer.max_epochs": 30}))


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.1)


def running(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    trials = study.get_trials(states=(TrialState.RUNNING,))
    return [trial for trial in trials if WORKER in trial.user_attrs]


def trained_for_an_epoch(study: optuna.Study, folder: Path) -> list[optuna.trial.FrozenTrial]:
    return [
        trial
        for trial in running(study)
        if any((folder / "trials" / f"{trial.number:05d}").rglob("last.ckpt"))
    ]


def test_a_killed_worker_s_trial_is_retried_and_a_restart_goes_on_to_the_total(
    long_study: Definition, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    definition = dataclasses.replace(long_study, folder=tmp_path)
    study = open_study(definition)
    said: list[str] = []
    monkeypatch.setattr(StudyWatcher, "say", lambda self, text: said.append(text))
    pids: list[int] = []

    def disturb() -> None:
        until(lambda: len(trained_for_an_epoch(study, tmp_path)) > 0)
        victim = trained_for_an_epoch(study, tmp_path)[0]
        pids.extend(pid_of(each) for each in running(study))
        os.kill(pid_of(victim), signal.SIGKILL)
        until(lambda: any("takes place" in each for each in said))
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=disturb)
    thread.start()
    complete = run_workers(study, definition, 3, SLOTS)
    thread.join()

    assert not complete
    assert any("was ended by SIGKILL" in each for each in said)
    assert any("is tried again: its worker was killed" in each for each in said)
    assert take_tally(study.get_trials()).running == 0
    assert not any(map(_alive, pids))

    assert run_workers(study, definition, 3, SLOTS[:1])
    tally = take_tally(study.get_trials())
    assert (tally.finished, tally.running, tally.waiting) == (3, 0, 0)
    assert tally.retried >= 1
    values = {
        tuple(sorted(trial.params.items()))
        for trial in study.get_trials()
        if trial.state == TrialState.COMPLETE
    }
    assert len(values) == 3  # a retry keeps its parameters, so that no two are the same


def pid_of(trial: optuna.trial.FrozenTrial) -> int:
    """Find the worker that signed a trial by what its process was told."""
    number = int(trial.user_attrs[WORKER].rpartition("-")[2])
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            told = path.read_text().rstrip("\0").split("\0")
            if "vocalsketch.sweep.worker" in told and told[-1] == str(number):
                return int(path.parent.name)
    raise AssertionError(f"worker {number} is not there")


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_workers_that_cannot_go_on_say_why(definition: Definition, tmp_path: Path) -> None:
    definition = dataclasses.replace(definition, folder=tmp_path)
    study = open_study(definition)
    with sqlite3.connect(tmp_path / "study.db") as database:
        database.execute("DELETE FROM study_user_attributes")
    with pytest.raises(StudyError, match="0 of 1 trials finished: No study 'tiny_study' of this"):
        run_workers(study, definition, 1, SLOTS[:1])


def test_trials_of_a_study_that_the_storage_does_not_know_are_not_written_over(
    definition: Definition, tmp_path: Path
) -> None:
    (tmp_path / "trials" / "00000").mkdir(parents=True)
    with pytest.raises(ConfigError, match="holds the trials of another study"):
        run_study(dataclasses.replace(definition, folder=tmp_path), 1, SLOTS)


def test_a_study_lies_in_a_folder_of_its_name_with_a_database_of_its_own(
    definition: Definition,
) -> None:
    assert definition.folder == Path("runs/sweeps/tiny_study")
    assert definition.url == "sqlite:///runs/sweeps/tiny_study/study.db"
