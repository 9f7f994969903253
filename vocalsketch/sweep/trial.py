"""One trial: draw parameters, train with each seed, return the mean validation metric."""

import gc
import time
from pathlib import Path

import optuna
import torch

from vocalsketch.errors import VocalSketchError
from vocalsketch.experiment import run_experiment
from vocalsketch.experiment.refusals import OUT_OF_MEMORY
from vocalsketch.files import write_text
from vocalsketch.jobs.run import Run, train
from vocalsketch.sweep.config_tree import Tree, assigned, write_tree
from vocalsketch.sweep.definition import Definition, trial_sampler
from vocalsketch.sweep.storages import STORAGE_FAULTS
from vocalsketch.sweep.study import StudyError
from vocalsketch.sweep.tracking import TrialReporter, state_of, track_unbegun
from vocalsketch.sweep.trials import (
    OVERHEAD,
    REASON,
    SURPLUS,
    VALUES,
    WORKER,
    first_attempt,
    is_within,
    trial_folder,
    worker_name,
)


class TrialFailedError(Exception):
    """A trial failed by itself, of an error or for lack of memory; the worker goes on."""


class Objective:
    """Runs trials in this process, one after the other.

    ``total`` is how many trials are to finish.

    Attributes:
        training: Whether a training is running just now.
        number: Number of the last trial.
        reporter: What tells of the training of the trial's last seed.
    """

    def __init__(
        self, definition: Definition, folder: Path, total: int, run: Run = run_experiment
    ) -> None:
        self.definition = definition
        self.space = definition.parameters
        self.folder = folder
        self.total = total
        self.run = run
        self.training = False
        self.number: int | None = None
        self.reporter: TrialReporter | None = None

    def __call__(self, trial: optuna.Trial) -> float:
        """Return the value of a trial.

        Raises:
            optuna.TrialPruned: The pruner gave it up, or its network cannot be built or diverged.
            TrialFailedError: It failed by itself, or came after the total was reached.
            KeyboardInterrupt: Ctrl-C ended it.
            VocalSketchError: Something is wrong that is wrong for every trial.
        """
        self.number, self.reporter = trial.number, None
        trial.set_user_attr(WORKER, worker_name())
        trials = trial.study.get_trials(deepcopy=False)
        if not is_within(trials, trial.number, self.total):
            trial.set_user_attr(SURPLUS, True)
            raise TrialFailedError("the total was reached")
        try:
            return self._value(trial, first_attempt(trials[trial.number]))
        except optuna.TrialPruned as error:
            trial.set_user_attr(REASON, str(error))
            raise
        except VocalSketchError as error:
            if state_of(error) != "pruned":
                raise
            self._note(trial, "pruned", str(error))
            raise optuna.TrialPruned(str(error)) from error
        except SystemExit as error:
            raise KeyboardInterrupt from error  # Lightning ends an interrupted fit so
        except STORAGE_FAULTS:
            raise
        except Exception as error:
            memory = isinstance(error, MemoryError) or OUT_OF_MEMORY.search(str(error))
            reason = "out of memory" if memory else _short(error)
            self._note(trial, "failed", reason)
            raise TrialFailedError(reason) from error
        finally:
            if torch.cuda.is_available():  # the next trial would find this one's network there
                gc.collect()
                torch.cuda.empty_cache()

    def _value(self, trial: optuna.Trial, first: int) -> float:
        began = time.perf_counter()
        trial.study.sampler = trial_sampler(self.definition.sampler, first) or trial.study.sampler
        parameters = self.space.suggest(trial)
        tree = self.space.applied(self.definition.config, parameters)
        folder = trial_folder(self.folder, first)
        values: dict[str, float] = dict(trial.user_attrs.get(VALUES, {}))
        seeds = self.definition.trained_seeds
        computing = 0.0
        for seed in [each for each in seeds if str(each) not in values]:
            self.reporter = TrialReporter(
                trial, self.definition.objective["metric"], parameters, reports=seed == seeds[0]
            )
            values[str(seed)] = self._trained(tree, folder, seed, self.reporter)
            computing += self.reporter.seconds
            trial.set_user_attr(VALUES, values)
        trial.set_user_attr(OVERHEAD, round(time.perf_counter() - began - computing, 3))
        return sum(values.values()) / len(values)

    def _trained(self, tree: Tree, folder: Path, seed: int, reporter: TrialReporter) -> float:
        """Train with one seed, going on from a checkpoint where there is one."""
        name = f"trial_{folder.name}_seed_{seed}"
        config, run_dir = folder / f"{name}.yaml", folder / f"seed_{seed}"
        write_text(config, write_tree(assigned(tree, self._about_the_run(name))))
        arguments = ["--config", str(config), "--seed_everything", str(seed)]
        arguments += ["--test_after_fit", "false"]
        self.training = True
        try:
            outcome = train(run_dir, arguments, [reporter], self.run)
        finally:
            self.training = False
        (run_dir / "checkpoints" / "last.ckpt").unlink(missing_ok=True)  # only to go on from
        metric = self.definition.objective["metric"]
        if metric not in outcome.metrics:
            known = sorted(name for name in outcome.metrics if name.startswith("val/"))
            raise StudyError(
                f"objective is {metric!r}, which the trial did not log: choose {', '.join(known)}."
            )
        return outcome.metrics[metric]

    def _about_the_run(self, name: str) -> Tree:
        """Return the keys that a trial has beside its parameters."""
        keys: Tree = {"trainer.devices": 1, "trainer.enable_progress_bar": False}
        if self.definition.trial_minutes is not None:
            seconds = max(1, round(60 * self.definition.trial_minutes))
            keys["trainer.max_time"] = {"seconds": seconds}
        if self.definition.tracker is not None:
            told: Tree = {"group": self.definition.name, "job_type": "trial", "name": name}
            told["upload_checkpoint"] = False
            keys |= {f"trainer.logger.init_args.{key}": value for key, value in told.items()}
        return keys

    def _note(self, trial: optuna.Trial, state: str, reason: str) -> None:
        """Note why a trial ended, in the storage and, where no training told it, in W&B."""
        trial.set_user_attr(REASON, reason)
        if self.reporter is None or not self.reporter.told:
            track_unbegun(self.definition, self.folder, trial, state, reason)


def _short(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}"[:500] if lines else type(error).__name__
