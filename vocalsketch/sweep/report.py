"""What a study came to: its best trial, its history, its trials as a table."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import optuna
from matplotlib import pyplot as plt
from omegaconf import OmegaConf
from optuna.trial import FrozenTrial, TrialState
from optuna.visualization.matplotlib import plot_optimization_history
from pandas import DataFrame
from rich.table import Table

from vocalsketch.callbacks.results import show_picture
from vocalsketch.callbacks.wandb_tracker import WandbTracker
from vocalsketch.experiment.config import write_tree
from vocalsketch.files import write_text, written_whole
from vocalsketch.jobs.job import Slot, corpus_fingerprint, fingerprint, training
from vocalsketch.jobs.pool import complete
from vocalsketch.retrieval.results import corpus_tag
from vocalsketch.retrieval.significance import Sample, mean_and_deviation
from vocalsketch.sweep.base import check_one_split, corpus_of
from vocalsketch.sweep.definition import Definition, best_trial
from vocalsketch.sweep.trial import track
from vocalsketch.sweep.trials import REASON, experimental, first_attempt, take_tally

RESULTS = "results_test.json"
MACRO = "macro mean"
RESOLUTION = 120  # dots per inch


def export(definition: Definition, trial: FrozenTrial) -> str:
    """Return the config of a trial as YAML that ``fit`` takes: the base config and its values."""
    values = definition.parameters.values(trial.params)
    tree = definition.parameters.applied(definition.config, values)
    seeds = f"{definition.seeds} seed" + ("s" if definition.seeds > 1 else "")
    return (
        f"# Trial {trial.number} of study {definition.name}: {definition.metric} "
        f"{trial.value:.4f}, {seeds},\n"
        f"# on the validation half, {corpus_tag(definition.corpus)}.\n"
        "# The best of many is lucky too: `vocalsketch sweep best STUDY --retrain 10` says what\n"
        "# it comes to on the test half.\n"
    ) + write_tree(tree)


def retrain(
    definition: Definition,
    trial: FrozenTrial,
    seeds: int,
    slots: Sequence[Slot] = (),
) -> dict[str, list[float]]:
    """Train a trial's config with each of ``seeds`` seeds and rank the test half.

    What was trained before is not trained again; what broke off goes on.

    Returns:
        For each category, and for ``MACRO``, the MRR of each seed.

    Raises:
        JobError: A training failed; the same call goes on.
        KeyboardInterrupt: Ctrl-C ended it; the same call goes on.
        VocalSketchError: The config or the data cannot be used.
    """
    check_one_split(definition, range(seeds))
    folder = definition.folder / "retrained" / f"{first_attempt(trial):05d}"
    config = folder / f"{definition.name}_best.yaml"
    write_text(config, export(definition, trial))
    resolved: Any = OmegaConf.to_container(OmegaConf.load(config), resolve=True)
    resolved["data"]["init_args"].pop("root", None)  # wherever it lies, its content counts
    corpus, split = corpus_fingerprint(corpus_of(definition)), definition.split
    jobs = [
        training(
            f"{definition.name}/seed{seed}",
            folder / f"seed_{seed}",
            ("--config", str(config), "--seed_everything", str(seed)),
            fingerprint(resolved, seed=seed, corpus=corpus, split=split),
        )
        for seed in range(seeds)
    ]
    complete(jobs, slots)
    found = [json.loads((job.folder / RESULTS).read_text(encoding="utf-8")) for job in jobs]
    mrr: dict[str, list[float]] = {}
    for each in found:
        for name, values in {**each["categories"], MACRO: each["macro"]}.items():
            mrr.setdefault(name, []).append(float(values["mrr"]))
    return mrr


def retrained_table(
    definition: Definition, trial: FrozenTrial, mrr: Mapping[str, Sequence[float]]
) -> Table:
    """Return mean and standard deviation of each category, to be printed."""
    what = f"{definition.name}, trial {trial.number}, test half, {len(mrr[MACRO])} seed(s)"
    table = Table(title=f"{what}\n{corpus_tag(definition.corpus)}")
    table.add_column("category")
    table.add_column("MRR, mean ± std", justify="right")
    for name, values in mrr.items():
        found = Sample.of(values)
        table.add_row(name, mean_and_deviation(found.mean, found.std))
    return table


def summarise(study: optuna.Study, definition: Definition) -> Path | None:
    """Write history, trials and the best config into the study's folder, and W&B's summary run.

    Returns:
        The folder of an offline W&B run, if there is one.

    Raises:
        StudyError: No trial is complete.
    """
    best, folder = best_trial(study), definition.folder
    trials = study.get_trials(deepcopy=False)
    history, config = folder / "report" / "history.png", folder / "best.yaml"
    write_history(study, definition, history)
    write_trials(trials, folder / "report" / "trials.csv")
    write_text(config, export(definition, best))
    found = {"trial": best.number, "value": best.value, "parameters": best.params}
    summary: dict[str, Any] = {f"best/{name}": value for name, value in found.items()}
    summary |= {"trials": dataclasses.asdict(take_tally(trials)), "corpus": definition.corpus}

    def more(tracker: WandbTracker) -> None:
        show_picture(tracker, "study/history", history)
        tracker.add_file(config, "config", f"{definition.name}-best")

    return track(
        definition,
        folder / "summary",
        name=f"{definition.name} summary",
        job_type="sweep",
        config=definition.to_dict(),
        summary=summary,
        more=more,
    )


def write_history(study: optuna.Study, definition: Definition, path: Path) -> None:
    """Draw the value of each complete trial, and the best up to it, into a PNG file."""
    target = f"{definition.metric}, validation half"
    with mpl.rc_context(), experimental():  # Optuna's drawing changes the style
        axes = plot_optimization_history(study, target_name=target)
        axes.set_title(f"{definition.name}, {corpus_tag(definition.corpus)}")
        with written_whole(path) as temporary:
            plt.savefig(temporary, format="png", dpi=RESOLUTION)
        plt.close()


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
