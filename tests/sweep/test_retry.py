"""Trials of dead workers go back into the queue."""

from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from vocalsketch.sweep import storage as module
from vocalsketch.sweep.storage import (
    MAX_RETRIES,
    WORKER,
    first_attempt,
    requeue,
    retry_running,
    workers_of,
)


def test_a_retried_trial_keeps_parameters_and_reports_but_not_its_worker(
    study: optuna.Study,
) -> None:
    trial = study.ask()
    rate = trial.suggest_float("rate", 0, 1)
    trial.report(0.25, 0)
    trial.set_user_attr(WORKER, "here-1")
    trial.set_user_attr("values", {"1": 0.5})

    assert retry_running(study, "here-") == [0]

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
        study.ask().set_user_attr(WORKER, "here-1")
        assert retry_running(study, "here-1") == [number]
    states = [trial.state for trial in study.get_trials()]
    assert states == [TrialState.FAIL] * (MAX_RETRIES + 1)


def test_an_interrupted_trial_is_never_given_up(study: optuna.Study) -> None:
    for _ in range(MAX_RETRIES + 3):
        study.ask().set_user_attr(WORKER, "here-1")
        retry_running(study, "here-1", max_retry=None)
    assert study.get_trials()[-1].state == TrialState.WAITING


def test_a_trial_is_retried_where_its_worker_was_of_this_host_and_folder(
    study: optuna.Study, tmp_path: Path
) -> None:
    names = [workers_of(tmp_path, 1), workers_of(tmp_path, 10), workers_of(tmp_path / "other", 1)]
    for name in (*names, "/elsewhere/workers/another-host-001"):
        study.ask().set_user_attr(WORKER, name)
    assert retry_running(study, names[0]) == [0]
    assert retry_running(study, workers_of(tmp_path)) == [1]


def test_a_host_whose_name_goes_on_after_this_ones_keeps_its_trials(
    study: optuna.Study, tmp_path: Path
) -> None:
    study.ask().set_user_attr(WORKER, f"{workers_of(tmp_path)}2-001")  # of HOST-2
    assert retry_running(study, workers_of(tmp_path)) == []


def test_a_trial_that_nobody_signed_is_retried_after_a_minute(
    study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    study.ask()
    assert retry_running(study, "here-") == []
    monkeypatch.setattr(module, "CLAIMING", -module.CLAIMING)
    assert retry_running(study, "here-") == [0]


def test_a_trial_that_finished_meanwhile_is_not_retried(
    study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    study.ask().set_user_attr(WORKER, "here-1")
    before = study.get_trials()
    study.tell(0, 0.5)
    monkeypatch.setattr(study, "get_trials", lambda **_: before)
    assert retry_running(study, "here-") == []
    monkeypatch.undo()
    assert [trial.state for trial in study.get_trials()] == [TrialState.COMPLETE]
