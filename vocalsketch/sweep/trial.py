"""One trial: draw parameters, train with each seed, return the mean validation metric."""

import gc
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytorch_lightning as pl
import torch

from vocalsketch.callbacks.wandb_tracker import trackers
from vocalsketch.errors import ConfigError, VocalSketchError
from vocalsketch.experiment import Outcome
from vocalsketch.experiment.config import Tree, assigned, write_tree
from vocalsketch.experiment.refusals import OUT_OF_MEMORY
from vocalsketch.files import write_text
from vocalsketch.jobs.run import train
from vocalsketch.sweep.definition import Definition, StudyError, trial_sampler
from vocalsketch.sweep.space import applied, drawn
from vocalsketch.sweep.storage import STORAGE_FAULTS
from vocalsketch.sweep.trials import (
    REASON,
    SURPLUS,
    VALUES,
    WORKER,
    first_attempt,
    is_within,
    trial_folder,
)


class TrialReporter(pl.Callback):
    """Reports the metric of every epoch, ends trials that the pruner gives up, tells W&B.

    ``reports`` is whether this run's epochs are the trial's: of several seeds the first's are.
    """

    def __init__(
        self, trial: optuna.Trial, metric: str, parameters: dict[str, Any], reports: bool
    ) -> None:
        self.trial = trial
        self.metric = metric
        self.parameters = parameters
        self.reports = reports

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Tell W&B which trial this is."""
        about = {"trial": {"number": self.trial.number, "parameters": self.parameters}}
        self._tell(trainer, lambda run: run.config.update(about, allow_val_change=True))

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Report the epoch; raise TrialPruned where the pruner gives the trial up."""
        value = float(trainer.callback_metrics.get(self.metric, math.nan))
        if trainer.state.fn == "validate":
            summary = {"trial/state": "complete", "trial/value": value}
            self._tell(trainer, lambda run: run.summary.update(summary))
            return
        if not self.reports or math.isnan(value):
            return
        with warnings.catch_warnings():
            # a resumed trial reports the epoch again in which it broke off
            warnings.filterwarnings("ignore", message=".*already reported")
            self.trial.report(value, trainer.current_epoch)
        if self.trial.should_prune():
            raise optuna.TrialPruned(
                f"{self.metric} {value:.4f} at epoch {trainer.current_epoch}, behind other trials"
            )

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Tell W&B how the trial ended."""
        summary = {"trial/state": state_of(exception), "trial/reason": str(exception)[:500]}
        self._tell(trainer, lambda run: run.summary.update(summary))

    def _tell(self, trainer: pl.Trainer, tell: Callable[[Any], object]) -> None:
        """Tell something to the W&B run, of which a trainer has one at most."""
        if found := trackers(trainer):
            found[0].safely(lambda: tell(found[0].experiment))


def state_of(error: BaseException) -> str:
    """Return what an error makes of its trial: pruned, interrupted or failed.

    A config that cannot be built and a training that diverged belong to the trial's parameters;
    any other error that a user can meet is wrong for every trial.
    """
    # the base class itself speaks of the scores: they are NaN
    diverged = type(error) is VocalSketchError
    if isinstance(error, optuna.TrialPruned | ConfigError) or diverged:
        return "pruned"
    return "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"


class TrialFailedError(Exception):
    """A trial failed by itself, of an error or for lack of memory; the worker goes on."""


class Objective:
    """Runs trials in this process, one after the other.

    ``total`` is how many trials are to finish; ``worker`` signs those that run here.

    Attributes:
        training: Whether a training is running just now.
        number: Number of the last trial.
    """

    def __init__(
        self,
        definition: Definition,
        total: int,
        worker: str = "",
        train: Callable[..., Outcome] = train,
    ) -> None:
        self.definition = definition
        self.total = total
        self.worker = worker
        self.train = train
        self.training = False
        self.number: int | None = None

    def __call__(self, trial: optuna.Trial) -> float:
        """Return the value of a trial.

        Raises:
            optuna.TrialPruned: The pruner gave it up, or its network cannot be built or diverged.
            TrialFailedError: It failed by itself, or came after the total was reached.
            KeyboardInterrupt: Ctrl-C ended it.
            VocalSketchError: Something is wrong that is wrong for every trial.
        """
        self.number = trial.number
        trial.set_user_attr(WORKER, self.worker)
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
            trial.set_user_attr(REASON, str(error))
            raise optuna.TrialPruned(str(error)) from error
        except STORAGE_FAULTS:
            raise
        except Exception as error:
            memory = isinstance(error, MemoryError) or OUT_OF_MEMORY.search(str(error))
            reason = "out of memory" if memory else _short(error)
            trial.set_user_attr(REASON, reason)
            raise TrialFailedError(reason) from error
        finally:
            if torch.cuda.is_available():  # the next trial would find this one's network there
                gc.collect()
                torch.cuda.empty_cache()

    def _value(self, trial: optuna.Trial, first: int) -> float:
        trial.study.sampler = trial_sampler(self.definition.sampler, first) or trial.study.sampler
        space = self.definition.space
        parameters = drawn(space, trial)
        tree = applied(space, self.definition.config, parameters)
        folder, metric = trial_folder(self.definition.folder, first), self.definition.objective
        values: dict[str, float] = dict(trial.user_attrs.get(VALUES, {}))
        seeds = self.definition.trained_seeds
        for seed in [each for each in seeds if str(each) not in values]:
            reporter = TrialReporter(trial, metric, parameters, reports=seed == seeds[0])
            values[str(seed)] = self._trained(tree, folder, seed, reporter)
            trial.set_user_attr(VALUES, values)
            last = folder / f"seed_{seed}" / "checkpoints" / "last.ckpt"
            last.unlink(missing_ok=True)  # only to go on from
        return sum(values.values()) / len(values)

    def _trained(self, tree: Tree, folder: Path, seed: int, reporter: TrialReporter) -> float:
        """Train with one seed, going on from a checkpoint where there is one."""
        name = f"trial_{folder.name}_seed_{seed}"
        config = folder / f"{name}.yaml"
        write_text(config, write_tree(assigned(tree, self._about_the_run(name))))
        arguments = ["--config", str(config), "--seed_everything", str(seed)]
        arguments += ["--test_after_fit", "false"]
        self.training = True
        try:
            metrics = self.train(folder / f"seed_{seed}", arguments, [reporter]).metrics
        finally:
            self.training = False
        if reporter.metric not in metrics:
            known = ", ".join(sorted(name for name in metrics if name.startswith("val/")))
            raise StudyError(
                f"objective is {reporter.metric!r}, which the trial did not log: choose {known}."
            )
        return metrics[reporter.metric]

    def _about_the_run(self, name: str) -> Tree:
        """Return the keys that a trial has beside its parameters."""
        keys: Tree = {"trainer.enable_progress_bar": False}
        if self.definition.trial_minutes is not None:
            seconds = max(1, round(60 * self.definition.trial_minutes))
            keys["trainer.max_time"] = {"seconds": seconds}
        if self.definition.tracker is not None:
            told: Tree = {"group": self.definition.name, "job_type": "trial", "name": name}
            told["upload_checkpoint"] = False
            keys |= {f"trainer.logger.init_args.{key}": value for key, value in told.items()}
        return keys


def _short(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}"[:500] if lines else type(error).__name__
