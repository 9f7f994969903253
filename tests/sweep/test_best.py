"""The best trial's config, and its training over seeds."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml
from optuna.trial import TrialState
from standins import Runs

from vocalsketch.errors import ConfigError
from vocalsketch.experiment import Outcome
from vocalsketch.sweep.definition import Definition, StudyError, best_trial, read_definition
from vocalsketch.sweep.run import MACRO, checked, export, retrain
from vocalsketch.sweep.space import drawn


@pytest.fixture
def demo(definition: Definition) -> Definition:
    return dataclasses.replace(checked(definition, prepare=False), corpus="demo")


def trial_of(definition: Definition, value: float = 0.5) -> optuna.trial.FrozenTrial:
    study = optuna.create_study(direction="maximize")
    trial = study.ask()
    drawn(definition.space, trial)
    study.tell(trial, value)
    return best_trial(study)


def test_the_export_is_the_base_config_with_the_trial_s_values(demo: Definition) -> None:
    trial = trial_of(demo)
    text = export(demo, trial)
    config = yaml.safe_load(text)
    model = config["model"]["init_args"]
    assert model["optimizer"]["init_args"]["lr"] == trial.params["rate"]
    assert model["imitation_tower"]["stages"][0]["filters"] == trial.params["filters"]
    assert config["data"] == demo.config["data"]
    assert "corpus=demo (synthetic; not comparable with the paper)" in text
    assert text.startswith("# Trial 0 of study tiny_study: val/mrr 0.5000, 1 seed,")


class RankingRuns(Runs):
    """Writes the results of a test half whose MRR is a tenth of the seed."""

    def __call__(self, folder: Path, arguments: list[str], callbacks: object = ()) -> Outcome:
        outcome = super().__call__(folder, arguments, callbacks)
        mrr = int(arguments[arguments.index("--seed_everything") + 1]) / 10
        results: dict[str, Any] = {"categories": {"bells": {"mrr": mrr}}, "macro": {"mrr": mrr}}
        (outcome.folder / "results_test.json").write_text(json.dumps(results))
        return outcome


@pytest.mark.usefixtures("jobs_here")
def test_retraining_ranks_the_test_half_with_every_seed_once(
    demo: Definition, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial, runs = trial_of(demo), RankingRuns()
    demo = dataclasses.replace(demo, folder=tmp_path)
    monkeypatch.setattr("vocalsketch.jobs.job.train", runs)
    assert retrain(demo, trial, 2)["bells"] == [0.0, 0.1]
    assert retrain(demo, trial, 3) == {"bells": [0.0, 0.1, 0.2], MACRO: [0.0, 0.1, 0.2]}
    assert len(runs.arguments) == 3
    assert all("--test_after_fit" not in arguments for arguments in runs.arguments)


def test_seeds_that_draw_splits_of_their_own_are_not_retrained(
    study_file: Callable[..., Path], tmp_path: Path
) -> None:
    random = read_definition(study_file(), {"data.init_args.split": "random"})
    with pytest.raises(ConfigError, match=r"'random', which each seed draws anew"):
        retrain(checked(random, prepare=False), trial_of(random), 2)


def test_a_study_without_a_complete_trial_has_no_best(study: optuna.Study) -> None:
    study.ask()
    study.tell(0, state=TrialState.FAIL)
    with pytest.raises(StudyError, match="no complete trial yet"):
        best_trial(study)
