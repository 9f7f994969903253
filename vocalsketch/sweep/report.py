"""What a study came to: its best trial, its history, its trials as a table."""

import dataclasses
from pathlib import Path
from typing import Any

import matplotlib as mpl
import optuna
from matplotlib import pyplot as plt
from optuna.trial import FrozenTrial
from optuna.visualization.matplotlib import plot_optimization_history

from vocalsketch.callbacks.results import show_picture
from vocalsketch.callbacks.wandb_tracker import WandbTracker
from vocalsketch.experiment.config import write_tree
from vocalsketch.experiment.run_folder import RunFolder
from vocalsketch.files import write_text, written_whole
from vocalsketch.retrieval.results import corpus_tag
from vocalsketch.sweep.definition import Definition, best_trial
from vocalsketch.sweep.space import applied, drawn
from vocalsketch.sweep.trials import experimental, take_tally

MACRO = "macro mean"
RESOLUTION = 120  # dots per inch


def export(definition: Definition, trial: FrozenTrial) -> str:
    """Return the config of a trial as YAML that ``fit`` takes: the base config and its values."""
    values = drawn(definition.space, optuna.trial.FixedTrial(trial.params))
    tree = applied(definition.space, definition.config, values)
    seeds = f"{definition.seeds} seed" + ("s" if definition.seeds > 1 else "")
    return (
        f"# Trial {trial.number} of study {definition.name}: {definition.objective} "
        f"{trial.value:.4f}, {seeds},\n"
        f"# on the validation half, {corpus_tag(definition.corpus)}.\n"
        "# The best of many is lucky too: `vocalsketch sweep best STUDY --retrain 10` says what\n"
        "# it comes to on the test half.\n"
    ) + write_tree(tree)


def summarise(study: optuna.Study, definition: Definition) -> Path | None:
    """Write history, trials and the best config into the study's folder, and W&B's summary run.

    Returns:
        The folder of an offline W&B run, if there is one.
    """
    best, folder = best_trial(study), definition.folder
    history, config = folder / "report" / "history.png", folder / "best.yaml"
    write_history(study, definition, history)
    with written_whole(folder / "report" / "trials.csv") as temporary:
        study.trials_dataframe().to_csv(temporary, index=False)
    write_text(config, export(definition, best))
    if definition.tracker is None:
        return None
    given: dict[str, Any] = {key: definition.tracker.get(key) for key in ("project", "tags")}
    summary = RunFolder(folder / "summary")
    tracker = WandbTracker(**given, group=definition.name, save_dir=str(summary.path))
    tracker.describe(
        name=f"{definition.name} summary",
        run_id=summary.wandb_id(),
        job_type="sweep",
        tags=[f"corpus={definition.corpus}"],
        config=definition.to_dict(),
    )
    found = {"trial": best.number, "value": best.value, "parameters": best.params}
    told: dict[str, Any] = {f"best/{name}": value for name, value in found.items()}
    told["trials"] = dataclasses.asdict(take_tally(study.get_trials(deepcopy=False)))
    tracker.safely(lambda: tracker.experiment.summary.update(told))
    show_picture(tracker, "study/history", history)
    tracker.add_file(config, "config", f"{definition.name}-best")
    return tracker.finish()


def write_history(study: optuna.Study, definition: Definition, path: Path) -> None:
    """Draw the value of each complete trial, and the best up to it, into a PNG file."""
    target = f"{definition.objective}, validation half"
    with mpl.rc_context(), experimental():  # Optuna's drawing changes the style
        axes = plot_optimization_history(study, target_name=target)
        axes.set_title(f"{definition.name}, {corpus_tag(definition.corpus)}")
        with written_whole(path) as temporary:
            plt.savefig(temporary, format="png", dpi=RESOLUTION)
        plt.close()
