"""Running a study on this machine: checked, run, told of, its best trained anew."""

import dataclasses
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import optuna
import yaml
from matplotlib import pyplot as plt
from omegaconf import OmegaConf
from optuna.trial import FrozenTrial
from optuna.visualization.matplotlib import plot_optimization_history

from vocalsketch.callbacks import WandbTracker
from vocalsketch.callbacks.results import show_picture
from vocalsketch.datamodules import RetrievalDataModule
from vocalsketch.errors import ConfigError
from vocalsketch.experiment.config import Tree, assigned, remedy, values_of, write_tree
from vocalsketch.experiment.parser import LINKS, ExperimentCLI
from vocalsketch.experiment.refusals import without_noise
from vocalsketch.experiment.run_folder import RunFolder
from vocalsketch.files import locked, write_text, written_whole
from vocalsketch.jobs.job import Job, Slot, corpus_fingerprint, fingerprint, training
from vocalsketch.jobs.pool import End, Pool, Watcher, complete
from vocalsketch.retrieval.results import corpus_tag
from vocalsketch.sweep.definition import Definition, StudyError, best_trial, open_study
from vocalsketch.sweep.space import Choices, applied, drawn
from vocalsketch.sweep.storage import (
    Tally,
    experimental,
    first_attempt,
    patiently,
    retry_running,
    take_tally,
    workers_of,
)
from vocalsketch.sweep.worker import STORAGE_VARIABLE

# W&B would list every installed package anew for each trial, in half a second; the summary run does
QUICK_START = {"WANDB__SAVE_REQUIREMENTS": "false"}
RESTARTS = 10  # of a worker that was killed
LOOK = 1.0  # seconds between looks at the study
MACRO = "macro mean"
SHOWN = ("complete", "pruned", "running", "failed")  # numbers of trials beside the progress bar


def checked(definition: Definition, *, prepare: bool = True) -> Definition:
    """Check a study against its base config; return it with what it reads filled in.

    ``prepare`` computes the features of the development half, for all workers.

    Raises:
        ConfigError: The base config does not validate, a parameter sets a key it has not, its
            trials do not log the objective, or their seeds would draw other splits.
        DatasetError: The corpus cannot be read.
    """
    cli = _parsed(definition.config)
    keys = _keys(cli)
    for each in definition.space.values():
        choices = each.choices if isinstance(each, Choices) else []
        for choice in choices if each.key.endswith("class_path") and each.key in keys else []:
            tree = assigned(definition.config, {each.key: choice})
            keys |= _keys(_parsed(tree, f"{each.key}: {choice}"))
    for name, parameter in definition.space.items():
        if parameter.key not in keys:
            raise ConfigError(
                f"Parameter {name!r} sets {parameter.key!r}, a key that the base config does not "
                f"have: {remedy(parameter.key, keys)}"
            )
    data = cli.datamodule
    if not isinstance(data, RetrievalDataModule):
        raise ConfigError(
            f"data is a {type(data).__name__}: a sweep searches retrieval systems, whose "
            "validation half is ranked."
        )
    categories = sorted({sound.category.replace(" ", "_") for sound in data.corpus.sounds})
    known = ["val/mrr", "val/loss", *(f"val/mrr/{category}" for category in categories)]
    if definition.objective not in known:
        raise ConfigError(f"objective is {definition.objective!r}: choose {', '.join(known)}.")
    loggers = cli.trainer.loggers
    found = dataclasses.replace(
        definition,
        corpus=data.corpus.name,
        split=data.split.fingerprint,
        tracked=len(loggers) == 1 and isinstance(loggers[0], WandbTracker),
    )
    check_one_split(found, found.trained_seeds)
    if prepare:
        data.prepare_data()
    return found


def check_one_split(definition: Definition, seeds: range) -> None:
    """Check that seeds are trained and ranked on the study's own split.

    A split that each seed drew anew would rank sounds on which the search was made.

    Raises:
        ConfigError: Another seed draws another split.
    """
    others = [seed for seed in seeds if seed != definition.base_seed]
    if not others:
        return
    data = _parsed(assigned(definition.config, {"seed_everything": others[0]})).datamodule
    if data.split.fingerprint != definition.split:
        raise ConfigError(
            f"data.init_args.split is {data.split_spec!r}, which each seed draws anew: give "
            "data.init_args.seed, or a manifest (vocalsketch data split), so that all seeds have "
            "one split."
        )


def _keys(cli: ExperimentCLI) -> set[str]:
    plain = cli.config.clone()
    for value in LINKS:
        plain.model.init_args.pop(value, None)
    text = cli.parser.dump(plain, skip_none=False, skip_validation=True)
    return {key for key, _ in values_of(yaml.safe_load(text))}


def _parsed(tree: Tree, what: str = "The base config") -> ExperimentCLI:
    with tempfile.TemporaryDirectory() as folder, without_noise():
        config = Path(folder) / "base.yaml"
        write_text(config, write_tree(tree))
        try:
            return ExperimentCLI("fit", ["--config", str(config), "--run_dir", folder])
        except ConfigError as error:
            raise ConfigError(f"{what} does not validate: {error}") from error


def run_study(definition: Definition, total: int, slots: Sequence[Slot]) -> tuple[Tally, bool]:
    """Run a study until ``total`` trials are complete or pruned, over all machines and restarts.

    Returns:
        The tally, and whether the total was reached; False where Ctrl-C came first.
    """
    folder = definition.folder
    with locked(folder / "lock", f"Another sweep runs in {folder}: wait, or give --folder."):
        definition = checked(definition)
        study = open_study(definition)
        if not study.get_trials(deepcopy=False) and any((folder / "trials").glob("*")):
            raise ConfigError(
                f"{folder / 'trials'} holds the trials of another study, but study "
                f"{definition.name!r} in the storage has none: choose another --folder, or remove "
                "it."
            )
        complete = run_workers(study, definition, total, slots)
        if complete:
            summarise(study, definition)
    return tally_of(study, definition), complete


def tally_of(study: optuna.Study, definition: Definition) -> Tally:
    """Count a study's trials."""
    return take_tally(patiently(lambda: study.get_trials(deepcopy=False), definition.url))


def run_workers(
    study: optuna.Study, definition: Definition, total: int, slots: Sequence[Slot]
) -> bool:
    """Work until the total is reached; return False where Ctrl-C came first.

    Raises:
        StudyError: All workers ended before the total was reached.
    """
    if tally_of(study, definition).finished >= total:
        return True
    watching, folder = StudyWatcher(study, definition, total), definition.folder
    with watching.bar:
        watching.retry(workers_of(folder), "its worker is gone")
        told = ("-m", "vocalsketch.sweep.worker", definition.name, str(folder), str(total))
        variables = {**QUICK_START, STORAGE_VARIABLE: definition.url}
        jobs = [  # whose state is the study's
            Job(
                f"workers/{number}",
                Path(workers_of(folder, number)),
                (*told, str(number)),
                environment=variables,
            )
            for number in range(len(slots))
        ]
        try:
            failures = Pool(slots, watching, restarts=RESTARTS).run(jobs)
        except KeyboardInterrupt:
            watching.retry(workers_of(folder), "interrupted")
            return False
    finished = tally_of(study, definition).finished
    if finished < total:
        reasons = dict.fromkeys(reason.rstrip(".") for _, reason in failures)
        raise StudyError(
            f"The workers ended with {finished} of {total} trials finished: "
            f"{'; '.join(reasons) or 'they were ended from outside'}. "
            f"What they said is in {definition.folder / 'workers'}; the same command goes on."
        )
    return True


class StudyWatcher(Watcher):
    """Shows how far a study is, and puts back the trials of workers that were killed."""

    def __init__(self, study: optuna.Study, definition: Definition, total: int) -> None:
        super().__init__(total, tally_of(study, definition).finished, unit="trial")
        self.study = study
        self.definition = definition
        self.total = total
        self._looked = time.monotonic()

    def started(self, job: Job, slot: Slot) -> None:
        """Say nothing of it: trials count."""

    def ended(self, job: Job, end: End, reason: str) -> None:
        """Say what became of a worker; put the trial of a killed one back."""
        number = job.name.rpartition("/")[2]
        if reason.startswith("ended by"):
            self.say(f"Worker {number} was {reason}.")
            self.retry(str(job.folder), "its worker was killed")
        if end == "killed":
            self.say(f"Another worker takes place {number}.")

    def waited(self) -> None:
        """Show how far the study is, once a second."""
        now = time.monotonic()
        if now - self._looked < LOOK:
            return
        self._looked = now
        tally = tally_of(self.study, self.definition)
        self.bar.n = min(tally.finished, self.total)
        counts = {state: getattr(tally, state) for state in SHOWN}
        self.bar.set_postfix_str(", ".join(f"{n} {state}" for state, n in counts.items() if n))

    def retry(self, workers: str, why: str) -> None:
        """Put the trials of dead workers, whose names so begin, back into the queue."""
        for number in patiently(lambda: retry_running(self.study, workers), self.definition.url):
            self.say(f"Trial {number} is tried again: {why}.")


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
    """
    check_one_split(definition, range(seeds))
    folder = definition.folder / "retrained" / f"{first_attempt(trial):05d}"
    config = folder / f"{definition.name}_best.yaml"
    write_text(config, export(definition, trial))
    resolved: Any = OmegaConf.to_container(OmegaConf.load(config), resolve=True)
    resolved["data"]["init_args"].pop("root", None)  # wherever it lies, its content counts
    corpus = corpus_fingerprint(_parsed(definition.config).datamodule.corpus)
    jobs = [
        training(
            f"{definition.name}/seed{seed}",
            folder / f"seed_{seed}",
            ("--config", str(config), "--seed_everything", str(seed)),
            fingerprint(resolved, seed=seed, corpus=corpus, split=definition.split),
        )
        for seed in range(seeds)
    ]
    complete(jobs, slots)
    found = [
        json.loads((job.folder / "results_test.json").read_text(encoding="utf-8")) for job in jobs
    ]
    mrr: dict[str, list[float]] = {}
    for each in found:
        for name, values in {**each["categories"], MACRO: each["macro"]}.items():
            mrr.setdefault(name, []).append(float(values["mrr"]))
    return mrr


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
            plt.savefig(temporary, format="png", dpi=120)
        plt.close()
