"""Plots that can be read, and that still show what Optuna plotted."""

from pathlib import Path

import matplotlib.pyplot as plt
import optuna
import pytest

from vocalsketch.sweep.pictures import PAGE_WIDTH, Plot, page_part, write_picture

PARALLEL = Plot("plot_parallel_coordinate", {"params": ["optimizer", "width"]})


@pytest.fixture
def searched(study: optuna.Study) -> optuna.Study:
    for optimizer, width in (("torch.optim.Adam", 16), ("torch.optim.SGD", 60)):
        study.enqueue_trial({"optimizer": optimizer, "width": width})
        trial = study.ask()
        trial.suggest_categorical("optimizer", ["torch.optim.Adam", "torch.optim.SGD"])
        trial.suggest_int("width", 10, 90)
        study.tell(trial, width / 100)
    return study


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> plt.Figure:
    """The figure that is drawn next, left open until the test ends."""
    monkeypatch.setattr(plt, "close", lambda figure: None)
    yield plt.figure()
    monkeypatch.undo()
    plt.close("all")


def labels_of(axis: plt.Axes) -> list[str]:
    return [label.get_text() for label in axis.get_yticklabels()]


def test_classes_are_named_shortly_and_no_axis_moves_away_from_its_lines(
    searched: optuna.Study, drawn: object, tmp_path: Path
) -> None:
    write_picture(searched, PARALLEL, tmp_path / "parallel.png")
    values, _, *axes = plt.gcf().axes
    optimizer, width = axes
    assert labels_of(optimizer) == ["Adam", "SGD"]
    assert values.get_ylim() == (0.16, 0.6)
    assert width.get_ylim() == (16, 60)


def test_slices_turn_their_labels_about_their_ends(
    searched: optuna.Study, drawn: object, tmp_path: Path
) -> None:
    write_picture(
        searched, Plot("plot_slice", {"params": ["optimizer", "width"]}), tmp_path / "slice.png"
    )
    optimizer, width, *_ = plt.gcf().axes
    assert [label.get_text() for label in optimizer.get_xticklabels()] == ["Adam", "SGD"]
    assert {label.get_ha() for label in width.get_xticklabels()} == {"right"}


def test_a_plot_of_many_parameters_is_not_wider_than_its_page(study: optuna.Study) -> None:
    names = [f"parameter {number}" for number in range(6)]
    for value in (0.25, 0.5):
        trial = study.ask()
        for name in names:
            trial.suggest_float(name, 0, 1)
        study.tell(trial, value)
    part = page_part(study, Plot("plot_slice", {"params": names}))
    assert f'"width":{PAGE_WIDTH}' in part
