"""What a study came to: its history as a picture, its trials as a table, the best config."""

import dataclasses
from itertools import accumulate
from pathlib import Path
from typing import Any

import optuna
from matplotlib.figure import Figure
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from pandas import DataFrame

from vocalsketch.files import write_text, written_whole
from vocalsketch.retrieval.results import corpus_tag
from vocalsketch.sweep.best import export
from vocalsketch.sweep.definition import Definition
from vocalsketch.sweep.study import best_trial
from vocalsketch.sweep.tracking import track_summary
from vocalsketch.sweep.trials import REASON, take_tally

RESOLUTION = 120  # dots per inch


def summarise(study: optuna.Study, definition: Definition, folder: Path) -> Path | None:
    """Write history, trials and the best config into the study's folder, and W&B's summary run.

    Returns:
        The folder of an offline W&B run, if there is one.

    Raises:
        StudyError: No trial is complete.
    """
    best = best_trial(study)
    trials = study.get_trials(deepcopy=False)
    history, config = folder / "report" / "history.png", folder / "best.yaml"
    write_history(trials, definition, study.direction, history)
    write_trials(trials, folder / "report" / "trials.csv")
    write_text(config, export(definition, best))
    found = {"trial": best.number, "value": best.value, "parameters": best.params}
    summary: dict[str, Any] = {f"best/{name}": value for name, value in found.items()}
    summary |= {"trials": dataclasses.asdict(take_tally(trials)), "corpus": definition.corpus}
    return track_summary(definition, folder, summary, history, config)


def write_history(
    trials: list[FrozenTrial], definition: Definition, direction: StudyDirection, path: Path
) -> None:
    """Draw the value of each complete trial, and the best up to it, into a PNG file."""
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    numbers = [trial.number for trial in complete]
    values = [float(trial.value or 0.0) for trial in complete]
    better = max if direction == StudyDirection.MAXIMIZE else min
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(numbers, values, "o", alpha=0.5, label="trial")
    axes.step(numbers, list(accumulate(values, better)), where="post", label="best so far")
    axes.set(
        title=f"{definition.name}, {corpus_tag(definition.corpus)}",
        xlabel="trial",
        ylabel=f"{definition.objective['metric']}, validation half",
    )
    axes.legend()
    with written_whole(path) as temporary:
        figure.savefig(temporary, format="png", dpi=RESOLUTION)


def write_trials(trials: list[FrozenTrial], path: Path) -> None:
    """Write a row for each trial: state, value, seconds, reason and parameters."""
    rows = [
        {
            "trial": trial.number,
            "state": trial.state.name.lower(),
            "value": trial.value if trial.state == TrialState.COMPLETE else None,
            "seconds": None if trial.duration is None else trial.duration.total_seconds(),
            "reason": trial.user_attrs.get(REASON),
            **trial.params,
        }
        for trial in trials
    ]
    with written_whole(path) as temporary:
        DataFrame(rows, dtype=object).to_csv(temporary, index=False)
