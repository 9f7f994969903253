"""Trials of dead workers go back into the queue."""

import os
import socket
import subprocess
import sys
from datetime import datetime, timedelta

import optuna
import pytest
from optuna.trial import TrialState

from vocalsketch.sweep.trials import (
    MAX_RETRIES,
    WORKER,
    first_attempt,
    left_on_this_host,
    requeue,
    retry_running,
    worker_name,
)


def dead_worker() -> str:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    name = worker_name(process.pid)
    process.communicate()
    return name


def test_a_retried_trial_keeps_parameters_and_reports_but_not_its_worker(
    study: optuna.Study,
) -> None:
    trial = study.ask()
    rate = trial.suggest_float("rate", 0, 1)
    trial.report(0.25, 0)
    trial.set_user_attr(WORKER, dead_worker())
    trial.set_user_attr("values", {"1": 0.5})

    assert retry_running(study, left_on_this_host) == [0]

    broken, again = study.get_trials()
    assert (broken.state, again.state) == (TrialState.FAIL, TrialState.WAITING)
    assert again.params == {"rate": rate}
    assert again.intermediate_values == {0: 0.25}
    assert again.user_attrs == {"values": {"1": 0.5}}
    assert first_attempt(again) == 0


def test_the_first_attempt_is_known_after_many(study: optuna.Study) -> None:
    study.ask()
    for number in range(MAX_RETRIES):
        study.tell(number, state=TrialState.FAIL)
        requeue(study, study.get_trials()[number])
        study.ask()
    assert first_attempt(study.get_trials()[-1]) == 0


def test_a_trial_that_keeps_killing_its_workers_is_given_up(study: optuna.Study) -> None:
    for number in range(MAX_RETRIES + 1):
        study.ask()
        assert retry_running(study, lambda trial: True) == [number]
    states = [trial.state for trial in study.get_trials()]
    assert states == [TrialState.FAIL] * (MAX_RETRIES + 1)


def test_an_interrupted_trial_is_never_given_up(study: optuna.Study) -> None:
    for _ in range(MAX_RETRIES + 3):
        study.ask()
        retry_running(study, lambda trial: True, max_retry=None)
    assert study.get_trials()[-1].state == TrialState.WAITING


@pytest.mark.parametrize(
    ("worker", "left"),
    [
        (worker_name(), False),
        (f"{socket.gethostname()}/{os.getpid()}/1", True),  # another process had this id before
        ("another-host/1/1", False),
    ],
    ids=["it runs", "another process has its id", "it is on another host"],
)
def test_a_trial_is_left_where_its_worker_is_no_more(
    study: optuna.Study, worker: str, left: bool
) -> None:
    study.ask().set_user_attr(WORKER, worker)
    assert left_on_this_host(study.get_trials()[0]) == left


def test_a_trial_that_nobody_signed_is_left_after_a_minute(study: optuna.Study) -> None:
    study.ask()
    trial = study.get_trials()[0]
    assert not left_on_this_host(trial)
    trial.datetime_start = datetime.now() - timedelta(minutes=2)
    assert left_on_this_host(trial)


def test_a_trial_that_finished_meanwhile_is_not_retried(study: optuna.Study) -> None:
    study.ask()

    def finishes_just_now(trial: optuna.trial.FrozenTrial) -> bool:
        study.tell(trial.number, 0.5)
        return True

    assert retry_running(study, finishes_just_now) == []
    assert [trial.state for trial in study.get_trials()] == [TrialState.COMPLETE]
