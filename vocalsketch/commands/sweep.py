"""`vocalsketch sweep`: search hyperparameters in parallel, on validation results only."""

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vocalsketch.commands.actions import (
    DEVICES,
    SLOTS,
    Action,
    Options,
    run_action,
    slots_of,
)
from vocalsketch.errors import ConfigError

if TYPE_CHECKING:
    from optuna import Study

    from vocalsketch.jobs.job import Slot
    from vocalsketch.sweep.definition import Definition
    from vocalsketch.sweep.run import Place

INTERRUPTED = 130  # the shell's exit status of what Ctrl-C ended


def run(arguments: argparse.Namespace) -> int:
    """Run the chosen subcommand and return its exit code."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return run_action(arguments)


def _run(arguments: argparse.Namespace) -> int:
    from vocalsketch.sweep.run import run_study
    from vocalsketch.sweep.storage import shown

    if arguments.trials < 1:
        raise ConfigError(f"--trials is {arguments.trials}: give 1 or more.")
    definition, place = _place(arguments, _settings(arguments.set))
    slots = _slots(arguments)
    print(
        f"study {place.name} in {shown(place.storage)}; {len(slots)} worker(s), who write to "
        f"{place.folder / 'workers'}"
    )
    tally, complete = run_study(definition, place, arguments.trials, slots)
    print(tally)
    if not complete:
        print(
            f"Interrupted with {tally.finished} of {arguments.trials} trials finished; those that "
            "were running go on from their checkpoints. Go on with the same command."
        )
        return INTERRUPTED
    return _print_best(*place.load())


def _slots(arguments: argparse.Namespace) -> list["Slot"]:
    """Return where workers run: one per GPU, else one per --cores-per-worker cores."""
    from vocalsketch.jobs.job import choose_slots

    workers = arguments.workers
    if workers != "auto" and not (workers.isdecimal() and int(workers) > 0):
        raise ConfigError(f"--workers is {workers!r}: give auto, or 1 or more.")
    count = None if workers == "auto" else int(workers)
    return choose_slots(arguments.devices, count, arguments.cores_per_worker)


def _status(arguments: argparse.Namespace) -> int:
    from vocalsketch.retrieval.results import corpus_tag
    from vocalsketch.sweep.trials import reasons_of, running_lines, take_tally

    _, place = _place(arguments)
    study, definition = place.load()
    trials = study.get_trials(deepcopy=False)
    tally = take_tally(trials)
    print(f"study {place.name}, {corpus_tag(definition.corpus)}")
    print(tally)
    print(*running_lines(trials), sep="\n", end="\n" if tally.running else "")
    for reason, count in reasons_of(trials).items():
        print(f"{count} x {reason}")
    return _print_best(study, definition) if tally.complete else 0


def _best(arguments: argparse.Namespace) -> int:
    from rich.console import Console

    from vocalsketch.files import write_text
    from vocalsketch.sweep.report import export, retrain
    from vocalsketch.sweep.storage import best_trial

    if arguments.retrain is not None and arguments.retrain < 1:
        raise ConfigError(f"--retrain is {arguments.retrain}: give 1 seed or more.")
    _, place = _place(arguments)
    study, definition = place.load()
    trial = best_trial(study)
    _print_best(study, definition)
    if arguments.export is not None:
        write_text(arguments.export, export(definition, trial))
        command = shlex.join(["vocalsketch", "fit", "--config", str(arguments.export)])
        print(f"Written to {arguments.export}: {command}")
    if arguments.retrain is not None:
        done = retrain(definition, trial, place.folder, arguments.retrain, slots_of(arguments))
        Console().print(done.table(f"{place.name}, trial {trial.number}"))
    return 0


def _report(arguments: argparse.Namespace) -> int:
    from vocalsketch.sweep.report import summarise

    _, place = _place(arguments)
    study, definition = place.load()
    offline = summarise(study, definition, place.folder)
    print(f"Written to {place.folder / 'report'}: history.png, trials.csv")
    if offline:
        print(f"W&B, offline: upload with `wandb sync {shlex.quote(str(offline))}`.")
    return 0


def _prune_failed(arguments: argparse.Namespace) -> int:
    from vocalsketch.sweep.trials import prune_failed

    _, place = _place(arguments)
    study, _ = place.load()
    done = prune_failed(study, place.folder)
    print(
        f"{len(done.retried)} trials of dead workers put back into the queue; "
        f"{len(done.removed)} folders of failed trials removed, {done.freed / 1e6:.1f} MB freed"
    )
    return 0


def _place(
    arguments: argparse.Namespace, overrides: dict[str, Any] | None = None
) -> tuple["Definition", "Place"]:
    from vocalsketch.sweep.definition import read_definition
    from vocalsketch.sweep.run import place_of

    definition = read_definition(arguments.study, overrides)
    return definition, place_of(definition, arguments.storage, arguments.folder)


def _settings(given: list[str]) -> dict[str, Any]:
    import yaml

    settings = {}
    for text in given:
        key, separator, value = text.partition("=")
        if not separator:
            raise ConfigError(f"--set is {text!r}: give KEY=VALUE.")
        try:
            settings[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ConfigError(f"--set {key}: {value!r} is no YAML value.") from error
    return settings


def _print_best(study: "Study", definition: "Definition") -> int:
    from vocalsketch.retrieval.results import corpus_tag
    from vocalsketch.sweep.storage import best_trial

    trial = best_trial(study)
    metric, seeds = definition.objective["metric"], definition.seeds
    print(
        f"best trial {trial.number}: {metric} {trial.value:.4f} "
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
    "--workers": ("auto", "processes, or auto: one per GPU, else one per --cores-per-worker"),
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
    "prune-failed": Action(
        "put trials of dead workers back, remove what failed ones left", _prune_failed
    ),
}
