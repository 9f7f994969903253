"""`vocalsketch sweep`: search hyperparameters in parallel, on validation results only."""

import argparse
import shlex
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vocalsketch.commands.actions import DEVICES, SLOTS, Action, Options
from vocalsketch.errors import ConfigError, refuse_below

if TYPE_CHECKING:
    from optuna import Study

    from vocalsketch.sweep.definition import Definition


def _run(arguments: argparse.Namespace) -> int:
    from vocalsketch.jobs.job import choose_slots
    from vocalsketch.sweep.run import run_study
    from vocalsketch.sweep.storage import shown

    refuse_below(1, **{"--trials": arguments.trials})
    definition = _definition(arguments, _settings(arguments.set))
    slots = choose_slots(arguments.devices, arguments.workers, arguments.cores_per_worker)
    print(
        f"study {definition.name} in {shown(definition.url)}; {len(slots)} worker(s), who write to "
        f"{definition.folder / 'workers'}"
    )
    tally, complete = run_study(definition, arguments.trials, slots)
    print(tally)
    if not complete:
        print(
            f"Interrupted with {tally.finished} of {arguments.trials} trials finished; those that "
            "were running go on from their checkpoints. Go on with the same command."
        )
        raise KeyboardInterrupt
    return _print_best(*_load(arguments))


def _status(arguments: argparse.Namespace) -> int:
    from vocalsketch.retrieval.results import corpus_tag
    from vocalsketch.sweep.storage import REASON, WORKER, take_tally

    study, definition = _load(arguments)
    trials = study.get_trials(deepcopy=False)
    tally = take_tally(trials)
    print(f"study {definition.name}, {corpus_tag(definition.corpus)}")
    print(tally)
    for trial in trials:
        if trial.state.name == "RUNNING" and trial.datetime_start is not None:
            minutes = (datetime.now() - trial.datetime_start).total_seconds() / 60
            worker = trial.user_attrs.get(WORKER, "a worker that has just begun")
            print(f"trial {trial.number} runs for {minutes:.1f} min on {worker}")
    reasons = Counter(trial.user_attrs.get(REASON) for trial in trials)
    for reason, count in reasons.most_common():
        if reason:
            print(f"{count} x {reason}")
    return _print_best(study, definition) if tally.complete else 0


def _best(arguments: argparse.Namespace) -> int:
    from vocalsketch.files import write_text
    from vocalsketch.jobs.job import choose_slots
    from vocalsketch.retrieval.results import Sample, mean_and_deviation
    from vocalsketch.sweep.definition import best_trial
    from vocalsketch.sweep.run import export, retrain

    refuse_below(1, **{"--retrain": 1 if arguments.retrain is None else arguments.retrain})
    study, definition = _load(arguments)
    trial = best_trial(study)
    _print_best(study, definition)
    if arguments.export is not None:
        write_text(arguments.export, export(definition, trial))
        command = shlex.join(["vocalsketch", "fit", "--config", str(arguments.export)])
        print(f"Written to {arguments.export}: {command}")
    if arguments.retrain is not None:
        slots = choose_slots(arguments.devices, arguments.jobs)
        print(f"test half, {arguments.retrain} seed(s), MRR, mean ± std:")
        for name, values in retrain(definition, trial, arguments.retrain, slots).items():
            sample = Sample.of(values)
            print(f"  {name}: {mean_and_deviation(sample.mean, sample.std)}")
    return 0


def _report(arguments: argparse.Namespace) -> int:
    from vocalsketch.sweep.run import summarise

    study, definition = _load(arguments)
    offline = summarise(study, definition)
    print(f"Written to {definition.folder / 'report'}: history.png, trials.csv")
    if offline:
        print(f"W&B, offline: upload with `wandb sync {shlex.quote(str(offline))}`.")
    return 0


def _prune_failed(arguments: argparse.Namespace) -> int:
    from vocalsketch.sweep.storage import prune_failed

    study, definition = _load(arguments)
    removed = prune_failed(study, definition.folder)
    print(f"{len(removed)} folders of failed trials removed")
    return 0


def _definition(
    arguments: argparse.Namespace, overrides: dict[str, Any] | None = None
) -> "Definition":
    import optuna

    from vocalsketch.sweep.definition import read_definition

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return read_definition(arguments.study, overrides, arguments.storage, arguments.folder)


def _load(arguments: argparse.Namespace) -> "tuple[Study, Definition]":
    from vocalsketch.sweep.definition import load_study

    definition = _definition(arguments)
    return load_study(definition.name, definition.url, definition.folder)


def _settings(given: list[str]) -> dict[str, Any]:
    import yaml

    settings = {}
    for text in given:
        key, separator, value = text.partition("=")
        if not separator:
            raise ConfigError(f"--set is {text!r}: give KEY=VALUE.")
        settings[key] = yaml.safe_load(value)
    return settings


def _print_best(study: "Study", definition: "Definition") -> int:
    from vocalsketch.retrieval.results import corpus_tag
    from vocalsketch.sweep.definition import best_trial

    trial, seeds = best_trial(study), definition.seeds
    print(
        f"best trial {trial.number}: {definition.objective} {trial.value:.4f} "
        f"(validation half, {seeds} seed{'s' * (seeds > 1)}, {corpus_tag(definition.corpus)})"
    )
    for name, value in trial.params.items():
        print(f"  {name}: {f'{value:.4g}' if isinstance(value, float) else value}")
    return 0


COMMON: Options = {
    "study": (Path, "study file (YAML)"),
    "--storage URL": (str, "instead of the study file's"),
    "--folder": (Path, "the study's folder (default: runs/sweeps/NAME)"),
}
RUN: Options = {
    "--trials!": (int, "how many are to finish, over all machines and restarts"),
    "--workers": (int, "processes (default: one per GPU, else one per --cores-per-worker)"),
    "--cores-per-worker N": (int, "CPU threads of a worker"),
    "--set KEY=VALUE": ([str], "set a config key of every trial, such as trainer.max_epochs=5"),
    **DEVICES,
}
BEST: Options = {
    "--export FILE": (Path, "write a config for fit"),
    "--retrain SEEDS": (int, "train it anew with so many seeds, and rank the test half"),
    **SLOTS,
}
ACTIONS = {
    "run": Action("run trials until so many are finished", _run, RUN),
    "status": Action("count trials by state, and say why some were pruned", _status),
    "best": Action("show, export or retrain the best trial", _best, BEST),
    "report": Action("write the history of values and a table of all trials", _report),
    "prune-failed": Action("remove what failed trials left", _prune_failed),
}
