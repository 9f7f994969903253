"""What a study leaves: the history of its values, all trials, the best config."""

import csv
import dataclasses
from pathlib import Path

import optuna
import pytest
import yaml
from matplotlib.axes import Axes
from matplotlib.image import imread
from optuna.trial import TrialState

from vocalsketch.sweep.definition import Definition, StudyError
from vocalsketch.sweep.run import summarise, write_history
from vocalsketch.sweep.space import drawn
from vocalsketch.sweep.storage import REASON


@pytest.fixture
def searched(study: optuna.Study, definition: Definition) -> optuna.Study:
    """Three complete trials, one of which has a parameter more, and a pruned one."""
    for number, value in enumerate((0.25, 0.5, 0.375)):
        trial = study.ask()
        drawn(definition.space, trial)
        if number == 1:
            trial.suggest_float("momentum", 0.5, 0.5)
        study.tell(trial, value)
    study.ask().set_user_attr(REASON, "Stage 1 does not fit")
    study.tell(3, state=TrialState.PRUNED)
    return study


def test_every_trial_is_a_row_with_its_parameters(
    searched: optuna.Study, definition: Definition, tmp_path: Path
) -> None:
    summarise(searched, dataclasses.replace(definition, folder=tmp_path))
    with (tmp_path / "report" / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["state"] for row in rows] == ["COMPLETE"] * 3 + ["PRUNED"]
    assert [row["value"] for row in rows] == ["0.25", "0.5", "0.375", ""]
    assert [row["params_momentum"] for row in rows] == ["", "0.5", "", ""]
    rates = [trial.params["rate"] for trial in searched.get_trials()[:3]]
    assert [float(row["params_rate"]) for row in rows[:3]] == rates
    assert rows[3]["user_attrs_reason"] == "Stage 1 does not fit"


def test_the_history_shows_the_best_so_far_in_the_study_s_direction(
    searched: optuna.Study,
    definition: Definition,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "history.png"
    drawn: list[list[float]] = []
    with monkeypatch.context() as patch:
        patch.setattr(Axes, "plot", lambda _self, _numbers, values, **_: drawn.append(list(values)))
        histories = {"maximize": [0.25, 0.5, 0.375], "minimize": [0.25, 0.5, 0.125]}
        for direction, values in histories.items():
            study = optuna.create_study(direction=direction)
            study.add_trials([optuna.trial.create_trial(value=value) for value in values])
            write_history(study, definition, path)
    assert drawn == [[0.25, 0.5, 0.5], [0.25, 0.25, 0.125]]
    write_history(searched, definition, path)
    assert imread(path)[..., :3].std() > 0.01  # something is drawn


def test_the_best_config_and_the_report_are_written_where_there_is_a_complete_trial(
    searched: optuna.Study, definition: Definition, tmp_path: Path
) -> None:
    definition = dataclasses.replace(definition, folder=tmp_path)
    assert summarise(searched, definition) is None  # no W&B run
    best = yaml.safe_load((tmp_path / "best.yaml").read_text())
    rate = best["model"]["init_args"]["optimizer"]["init_args"]["lr"]
    assert rate == searched.get_trials()[1].params["rate"]
    assert {path.name for path in (tmp_path / "report").iterdir()} == {"history.png", "trials.csv"}


def test_nothing_to_report_is_said(study: optuna.Study, definition: Definition) -> None:
    with pytest.raises(StudyError, match="no complete trial yet"):
        summarise(study, definition)
