"""What a trial's training tells: its epochs to the pruner, its state to W&B."""

import math
import warnings
from collections.abc import Callable
from typing import Any

import optuna
import pytorch_lightning as pl

from vocalsketch.callbacks.wandb_tracker import trackers
from vocalsketch.errors import ConfigError, VocalSketchError


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
