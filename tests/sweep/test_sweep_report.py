"""The report: a page and pictures."""

import dataclasses
from pathlib import Path

import optuna
import pytest
from matplotlib.image import imread
from optuna.trial import TrialState

from vocalsketch.sweep.definition import Definition
from vocalsketch.sweep.report import common_parameters, plots, write_report
from vocalsketch.sweep.study import StudyError
from vocalsketch.sweep.trial import REASON


def searched(study: optuna.Study, definition: Definition, trials: int) -> None:
    for number in range(trials):
        trial = study.ask()
        definition.parameters.suggest(trial)
        study.tell(trial, 0.1 + trial.params["rate"] * number)


def test_the_report_shows_every_plot_the_corpus_and_why_trials_were_pruned(
    study: optuna.Study, definition: Definition, tmp_path: Path
) -> None:
    searched(study, definition, 5)
    study.ask().set_user_attr(REASON, "Stage 1 does not fit <here>")
    study.tell(5, state=TrialState.PRUNED)

    pictures = write_report(study, dataclasses.replace(definition, corpus="demo"), tmp_path)

    assert set(pictures) == {"history", "importance", "parallel_coordinates", "slices_1"}
    for path in pictures.values():
        pixels = imread(path)
        assert pixels[..., :3].std() > 0.01  # something is drawn
    page = (tmp_path / "report.html").read_text()
    assert page.count("Plotly.newPlot(") >= 4
    assert "corpus=demo (synthetic; not comparable with the paper)" in page
    assert "Stage 1 does not fit &lt;here&gt;" in page
    assert "5 complete, 1 pruned" in page


def test_conditional_parameters_do_not_empty_the_parallel_plot(
    study: optuna.Study, definition: Definition
) -> None:
    for extra in ("momentum", "betas"):
        trial = study.ask()
        trial.suggest_float("rate", 0, 1)
        trial.suggest_float(extra, 0, 1)
        study.tell(trial, trial.params["rate"])
    assert common_parameters(study.get_trials()) == ["rate"]
    chosen = plots(study, definition)
    assert chosen["parallel_coordinates"].options["params"] == ["rate"]
    assert chosen["slices_1"].options["params"] == ["rate", "momentum", "betas"]


def test_importance_is_left_out_where_all_values_are_the_same(
    study: optuna.Study, definition: Definition
) -> None:
    for _ in range(3):
        trial = study.ask()
        definition.parameters.suggest(trial)
        study.tell(trial, 0.5)
    assert "importance" not in plots(study, definition)


def test_nothing_to_plot_is_said(
    study: optuna.Study, definition: Definition, tmp_path: Path
) -> None:
    with pytest.raises(StudyError, match="no complete trial: there is nothing to plot yet"):
        write_report(study, definition, tmp_path)
