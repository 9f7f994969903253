"""One trial: what it trains, and how it ends."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch
import yaml
from optuna.trial import TrialState
from standins import Runs

from vocalsketch.errors import AudioError, CheckpointError, ConfigError, VocalSketchError
from vocalsketch.experiment import Outcome
from vocalsketch.sweep.definition import Definition
from vocalsketch.sweep.storage import REASON, SURPLUS, VALUES, requeue
from vocalsketch.sweep.worker import TrialFailedError, Worker
from vocalsketch.systems.checkpoints import read_checkpoint, write_checkpoint


@pytest.fixture
def untracked(definition: Definition) -> Definition:
    return dataclasses.replace(definition, corpus="folder", split="abc")


def run(
    study: optuna.Study,
    definition: Definition,
    folder: Path,
    runs: Callable[..., Outcome],
    total: int = 9,
) -> optuna.trial.FrozenTrial:
    worker = Worker(study, dataclasses.replace(definition, folder=folder), total, train=runs)
    study.optimize(worker.objective, n_trials=1, catch=(TrialFailedError,))
    return study.get_trials()[-1]


def config_of(arguments: list[str]) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(
        Path(arguments[arguments.index("--config") + 1]).read_text()
    )
    return config


def test_a_trial_trains_the_base_config_with_its_parameters_and_without_the_test_half(
    study: optuna.Study, untracked: Definition, tmp_path: Path
) -> None:
    runs = Runs(0.625)
    trial = run(study, untracked, tmp_path, runs)

    (arguments,) = runs.arguments
    assert arguments[arguments.index("--test_after_fit") + 1] == "false"
    config = config_of(arguments)
    rate = config["model"]["init_args"]["optimizer"]["init_args"]["lr"]
    assert rate == trial.params["rate"]
    stage = config["model"]["init_args"]["imitation_tower"]["stages"][0]
    assert stage == {"filters": trial.params["filters"], "kernel": [3, 3], "pool": [8, 8]}
    assert trial.value == 0.625


def test_the_value_is_the_mean_over_seeds(
    study: optuna.Study, untracked: Definition, tmp_path: Path
) -> None:
    runs = Runs(0.25, 0.75)
    trial = run(study, dataclasses.replace(untracked, seeds=2), tmp_path, runs)
    seeds = [each[each.index("--seed_everything") + 1] for each in runs.arguments]
    assert seeds == ["1", "2"]  # the config's seed is 1
    assert trial.value == 0.5
    assert trial.user_attrs[VALUES] == {"1": 0.25, "2": 0.75}


def test_a_retried_trial_skips_the_seeds_that_are_done_and_goes_on_from_its_checkpoint(
    study: optuna.Study, untracked: Definition, tmp_path: Path
) -> None:
    two_seeds = dataclasses.replace(untracked, seeds=2)
    with pytest.raises(KeyboardInterrupt):
        run(study, two_seeds, tmp_path, Runs(0.25, KeyboardInterrupt()))
    last = tmp_path / "trials" / "00000" / "seed_2" / "checkpoints" / "last.ckpt"
    last.parent.mkdir(parents=True)
    write_checkpoint(last, {"state_dict": {}})
    requeue(study, study.get_trials()[0])

    runs = Runs(0.75)
    trial = run(study, two_seeds, tmp_path, runs)

    assert runs.folders == [last.parents[1]]
    assert (trial.number, trial.value) == (1, 0.5)
    assert not last.exists()


def test_a_checkpoint_that_does_not_fit_is_kept_and_ends_the_worker(
    study: optuna.Study, untracked: Definition, tmp_path: Path
) -> None:
    """Such as one of another split, or a tower to start from that is not there."""
    last = tmp_path / "trials" / "00000" / "seed_1" / "checkpoints" / "last.ckpt"
    write_checkpoint(last, {"state_dict": {}})
    with pytest.raises(CheckpointError, match="another split"):
        run(study, untracked, tmp_path, Runs(CheckpointError("began with another split")))
    assert read_checkpoint(last) == {"state_dict": {}}


def test_a_time_limit_becomes_the_trainer_s(
    study: optuna.Study, untracked: Definition, tmp_path: Path
) -> None:
    runs = Runs()
    run(study, dataclasses.replace(untracked, trial_minutes=1.5), tmp_path, runs)
    assert config_of(runs.arguments[0])["trainer"]["max_time"] == {"seconds": 90}


@pytest.mark.parametrize(
    ("end", "state", "reason"),
    [
        (ConfigError("Stage 3 does not fit"), TrialState.PRUNED, "Stage 3 does not fit"),
        (VocalSketchError("5 scores are NaN"), TrialState.PRUNED, "5 scores are NaN"),
        (optuna.TrialPruned("behind"), TrialState.PRUNED, "behind"),
        (torch.cuda.OutOfMemoryError("no room"), TrialState.FAIL, "OutOfMemoryError: no room"),
        (MemoryError(), TrialState.FAIL, "MemoryError: "),
        (ValueError("a bug"), TrialState.FAIL, "ValueError: a bug"),
    ],
)
def test_a_trial_that_ends_by_itself_says_why_and_leaves_the_worker_running(
    study: optuna.Study,
    untracked: Definition,
    tmp_path: Path,
    end: BaseException,
    state: TrialState,
    reason: str,
) -> None:
    trial = run(study, untracked, tmp_path, Runs(end))
    assert (trial.state, trial.user_attrs[REASON]) == (state, reason)


@pytest.mark.parametrize(
    ("end", "raised"),
    [
        (AudioError("bad.wav cannot be read"), AudioError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_what_is_wrong_for_every_trial_ends_the_worker(
    study: optuna.Study,
    untracked: Definition,
    tmp_path: Path,
    end: BaseException,
    raised: type[BaseException],
) -> None:
    with pytest.raises(raised):
        run(study, untracked, tmp_path, Runs(end))


def test_a_trial_beyond_the_total_trains_nothing(
    study: optuna.Study, untracked: Definition, tmp_path: Path
) -> None:
    runs = Runs()
    for _ in range(2):
        trial = run(study, untracked, tmp_path, runs, total=1)
    assert len(runs.arguments) == 1
    assert trial.state == TrialState.FAIL
    assert trial.user_attrs[SURPLUS]


def test_trials_of_a_random_search_are_the_same_whoever_runs_them(
    untracked: Definition, tmp_path: Path
) -> None:
    def parameters(workers: int) -> list[dict[str, Any]]:
        study = optuna.create_study(direction="maximize")
        own = dataclasses.replace(untracked, folder=tmp_path)
        made = [Worker(study, own, 9, train=Runs()) for _ in range(workers)]
        for number in range(6):
            study.optimize(made[number % workers].objective, n_trials=1)
        return [trial.params for trial in study.get_trials()]

    assert parameters(1) == parameters(3)
