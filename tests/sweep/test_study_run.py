"""Trials that train: without the test half, pruned, resumed, tracked."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml
from optuna.trial import TrialState

from vocalsketch.errors import AudioError
from vocalsketch.experiment import run_experiment
from vocalsketch.sweep.definition import Definition, best_trial, read_definition
from vocalsketch.sweep.run import checked, export, summarise
from vocalsketch.sweep.worker import Worker

TEST_HALF = ("sounds/*/*[23].wav", "imitations/*[23]/*.wav")


def test_a_sweep_runs_where_the_test_half_cannot_be_read_and_its_best_config_fits(
    study_file: Callable[..., Path],
    folder_corpus: Path,
    tmp_path: Path,
    study: optuna.Study,
) -> None:
    root = shutil.copytree(folder_corpus, tmp_path / "corpus")
    whole = {path: path.read_bytes() for pattern in TEST_HALF for path in root.glob(pattern)}
    for path in whole:
        path.write_bytes(b"no audio")
    overrides = {"data.init_args.root": str(root)}
    definition = checked(read_definition(study_file(), overrides))

    study.optimize(
        Worker(study, dataclasses.replace(definition, folder=tmp_path), 2).objective, n_trials=2
    )

    assert [trial.state for trial in study.get_trials()] == [TrialState.COMPLETE] * 2
    # two sounds develop in each category: the target is first, or second, of two
    assert all(0.5 <= trial.value <= 1 for trial in study.get_trials() if trial.value)

    best = tmp_path / "best.yaml"
    best.write_text(export(definition, best_trial(study)))
    arguments = ["--config", str(best), "--run_dir", str(tmp_path / "fit")]
    with pytest.raises(AudioError):
        run_experiment("fit", arguments)  # fit ranks the test half, which is spoilt
    for path, content in whole.items():
        path.write_bytes(content)
    shutil.rmtree(tmp_path / "fit")
    assert run_experiment("fit", arguments).results["test"]["categories"]["bells"]["queries"] == 6


def test_a_time_limit_ends_the_training_and_the_trial_is_scored(
    definition: Definition, study: optuna.Study, tmp_path: Path
) -> None:
    endless = dataclasses.replace(
        definition,
        trial_minutes=0.01,
        config={
            **definition.config,
            "trainer": {**definition.config["trainer"], "max_epochs": 100_000},
        },
    )
    study.optimize(
        Worker(study, dataclasses.replace(endless, folder=tmp_path), 1).objective, n_trials=1
    )
    (trial,) = study.get_trials()
    assert trial.state == TrialState.COMPLETE
    assert 0.5 <= study.best_value <= 1


class GivesUp(optuna.pruners.BasePruner):
    """Prunes at the second epoch."""

    def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
        return trial.last_step == 1


def test_the_pruner_sees_every_epoch_and_ends_a_trial(
    definition: Definition, tmp_path: Path
) -> None:
    study = optuna.create_study(direction="maximize", pruner=GivesUp())
    longer = dataclasses.replace(
        definition,
        config={
            **definition.config,
            "trainer": {**definition.config["trainer"], "max_epochs": 9},
        },
    )
    study.optimize(
        Worker(study, dataclasses.replace(longer, folder=tmp_path), 1).objective, n_trials=1
    )
    (trial,) = study.get_trials()
    assert trial.state == TrialState.PRUNED
    assert sorted(trial.intermediate_values) == [0, 1]
    assert "val/mrr" in trial.user_attrs["reason"]


def test_an_interrupted_trial_ends_with_the_value_of_one_that_was_not(
    definition: Definition, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vocalsketch.sweep.storage import requeue
    from vocalsketch.sweep.worker import TrialReporter

    definition = dataclasses.replace(definition, trial_minutes=60)
    whole = optuna.create_study(direction="maximize")
    whole.optimize(
        Worker(whole, dataclasses.replace(definition, folder=tmp_path / "whole"), 1).objective,
        n_trials=1,
    )

    def interrupt(self: TrialReporter, trainer: Any, module: Any) -> None:
        if trainer.current_epoch == 1:
            raise KeyboardInterrupt

    study = optuna.create_study(direction="maximize")
    with monkeypatch.context() as patched:
        patched.setattr(TrialReporter, "on_train_epoch_start", interrupt)
        with pytest.raises(KeyboardInterrupt):
            study.optimize(
                Worker(
                    study, dataclasses.replace(definition, folder=tmp_path / "broken"), 1
                ).objective,
                n_trials=1,
            )
    requeue(study, study.get_trials()[0])
    study.optimize(
        Worker(study, dataclasses.replace(definition, folder=tmp_path / "broken"), 1).objective,
        n_trials=1,
    )

    trial = study.get_trials()[-1]
    assert trial.value == whole.best_value
    assert sorted(trial.intermediate_values) == [0, 1]
    assert trial.intermediate_values == whole.best_trial.intermediate_values


def test_every_trial_and_the_summary_are_runs_of_one_w_and_b_group(
    definition: Definition, study: optuna.Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[dict[str, Any]] = []
    from vocalsketch.callbacks import WandbTracker

    class Note(dict[str, Any]):
        def update(self, *args: Any, **options: Any) -> None:
            options.pop("allow_val_change", None)
            super().update(*args, **options)

    class FakeRun:
        def __init__(self, settings: dict[str, Any]) -> None:
            self.config, self.summary = Note(settings.pop("config")), Note()
            self.logged: dict[str, Any] = {}
            self.dir, self.settings = str(tmp_path), type("S", (), {"mode": "online"})
            begun.append({"run": self, **settings})

        def log(self, values: dict[str, Any], **options: Any) -> None:
            self.logged.update(values)

        def __getattr__(self, name: str) -> Any:
            return lambda *args, **options: None

    monkeypatch.setattr(WandbTracker, "_begin", lambda self: FakeRun(dict(self._wandb_init)))
    trainer = {
        **definition.config["trainer"],
        "logger": {"class_path": "vocalsketch.callbacks.WandbTracker"},
    }
    space = {
        **definition.space,
        "pool": {
            "key": "model.init_args.imitation_tower.stages.0.pool",
            "type": "categorical",
            "choices": [[8, 8], [80, 80]],
        },
    }
    tracked = dataclasses.replace(
        definition,
        config={**definition.config, "trainer": trainer},
        space=space,
        corpus="folder",
        tracked=True,
        folder=tmp_path,
    )
    study.enqueue_trial({"pool": "[8, 8]"})
    study.enqueue_trial({"pool": "[80, 80]"})
    study.optimize(Worker(study, tracked, 2).objective, n_trials=2)
    summarise(study, tracked)

    assert {each["group"] for each in begun} == {"tiny_study"}
    complete, summary = (each["run"] for each in begun)
    trials = study.get_trials()
    assert complete.config["trial"] == {
        "number": 0,
        "parameters": {**trials[0].params, "pool": [8, 8]},
    }
    assert complete.summary == {"trial/state": "complete", "trial/value": trials[0].value}
    assert summary.summary["best/value"] == trials[0].value
    assert "study/history" in summary.logged
    assert begun[1]["tags"] == ["corpus=folder"]
    assert json.loads(json.dumps(summary.config))["space"]["pool"] == {**space["pool"], "when": {}}
    assert yaml.safe_load((tmp_path / "best.yaml").read_text())["trainer"]["logger"]
