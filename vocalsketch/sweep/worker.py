"""A worker: one process that draws and trains trial after trial until the study is complete."""

import copy
import gc
import math
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import optuna
import pytorch_lightning as pl
import torch
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from vocalsketch.callbacks.wandb_tracker import trackers
from vocalsketch.errors import ConfigError, VocalSketchError
from vocalsketch.experiment import Outcome
from vocalsketch.experiment.config import Tree, assigned, write_tree
from vocalsketch.files import write_text
from vocalsketch.jobs import job
from vocalsketch.sweep.definition import Definition, StudyError, load_study, trial_sampler
from vocalsketch.sweep.space import applied, drawn
from vocalsketch.sweep.storage import (
    REASON,
    STORAGE_FAULTS,
    SURPLUS,
    VALUES,
    WORKER,
    Answer,
    experimental,
    first_attempt,
    is_within,
    patiently,
    requeue,
    retry_running,
    take_tally,
    trial_folder,
    workers_of,
)

STORAGE_VARIABLE = "VOCALSKETCH_SWEEP_STORAGE"  # in the environment: a url may hold a password
MAX_FAILURES = 10  # one after the other: then it is not the trials that fail
POLL = 1.0  # seconds between looks at a study whose last trials others run


@dataclass(eq=False)
class TrialReporter(pl.Callback):
    """Reports the metric of every epoch, ends trials that the pruner gives up, tells W&B."""

    trial: optuna.Trial
    metric: str
    parameters: dict[str, Any]
    reports: bool  # whether this run's epochs are the trial's: of several seeds the first's are

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


@dataclass(eq=False)
class Worker:
    """Runs trials of a study in this process, one after the other."""

    study: optuna.Study
    definition: Definition
    total: int  # how many trials are to finish
    name: str = ""  # signs those that run here
    train: Callable[..., Outcome] = job.train
    sleep: Callable[[float], None] = time.sleep
    interrupted: bool = False
    failures: int = 0  # one after the other
    _training: bool = False  # just now
    _number: int | None = None  # of the last trial

    def run(self) -> bool:
        """Run trials until the total is reached; return False where Ctrl-C came first."""
        while not self.interrupted:
            with experimental():
                self._ask(lambda: optuna.storages.fail_stale_trials(self.study))
            tally = take_tally(self._trials())
            if tally.finished >= self.total:
                return True
            if tally.finished + tally.running >= self.total:
                self.sleep(POLL)  # one of those may fail
            else:
                self._run_trial()
        return False

    def interrupt(self, signum: int, frame: FrameType | None) -> None:
        """Handle SIGINT: end a training at once, anything else when it is done."""
        self.interrupted = True
        if self._training:
            raise KeyboardInterrupt

    def _ask(self, ask: Callable[[], Answer]) -> Answer:
        return patiently(ask, self.definition.url, self.sleep)

    def _trials(self) -> list[FrozenTrial]:
        return self._ask(lambda: self.study.get_trials(deepcopy=False))

    def _run_trial(self) -> None:
        try:
            self.study.optimize(self.objective, n_trials=1, catch=(TrialFailedError,))
        except KeyboardInterrupt:
            self._give_back()
            self.interrupted = True
        except VocalSketchError:
            self._give_back()
            raise
        except STORAGE_FAULTS as error:
            print(f"The storage failed during a trial: {error}", flush=True)
            self._give_back()
        except (UpdateFinishedTrialError, ValueError):
            trial = self._own_trial()
            if trial is None or not trial.state.is_finished():
                raise
            print(f"Trial {trial.number} was taken over by another worker.", flush=True)
        else:
            self._count_failures()

    def _own_trial(self) -> FrozenTrial | None:
        """Return the trial that this process ran last, as the storage has it."""
        return None if self._number is None else self._trials()[self._number]

    def _give_back(self) -> None:
        """Queue the trial that broke off, to go on from its checkpoint; not its fault."""
        trial = self._own_trial()
        if trial is not None and trial.state == TrialState.FAIL:
            requeue(self.study, copy.deepcopy(trial), max_retry=None)
        self._ask(lambda: retry_running(self.study, self.name, max_retry=None))

    def _count_failures(self) -> None:
        trial = self._own_trial()
        if trial is None or trial.state != TrialState.FAIL:
            self.failures = 0
        elif not trial.user_attrs.get(SURPLUS):
            self.failures += 1
        if self.failures >= MAX_FAILURES and trial is not None:
            raise StudyError(
                f"{MAX_FAILURES} trials failed one after the other, the last one by: "
                f"{trial.user_attrs.get(REASON)}. Mend that and run the same command again."
            )

    def objective(self, trial: optuna.Trial) -> float:
        """Return the value of a trial.

        Raises:
            optuna.TrialPruned: The pruner gave it up, or its network cannot be built or diverged.
            TrialFailedError: It failed by itself, or came after the total was reached.
            KeyboardInterrupt: Ctrl-C ended it.
            VocalSketchError: Something is wrong that is wrong for every trial.
        """
        self._number = trial.number
        trial.set_user_attr(WORKER, self.name)
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
            reason = f"{type(error).__name__}: {error}".splitlines()[0][:500]
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
        self._training = True
        try:
            outcome = self.train(folder / f"seed_{seed}", arguments, [reporter])
        finally:
            self._training = False
        return outcome.metrics[reporter.metric]

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


def main(name: str, folder: str, total: str, number: str) -> None:
    """Run a worker, as `vocalsketch sweep run` starts it, until the study is complete."""
    study, definition = load_study(name, os.environ[STORAGE_VARIABLE], Path(folder))
    running = Worker(study, definition, int(total), workers_of(definition.folder, int(number)))
    signal.signal(signal.SIGINT, running.interrupt)
    if not running.run():
        raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(job.as_process(lambda: main(*sys.argv[1:])))
