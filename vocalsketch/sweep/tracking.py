"""What a trial's training tells the study and W&B, and the study's own run there."""

import math
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import optuna
import pytorch_lightning as pl
import wandb

from vocalsketch.callbacks import WandbTracker
from vocalsketch.errors import ConfigError, VocalSketchError
from vocalsketch.experiment.run_folder import RunFolder
from vocalsketch.sweep.definition import Definition


class TrialReporter(pl.Callback):
    """Reports the metric of every epoch, ends trials that the pruner gives up, notes the state.

    Args:
        trial: The trial.
        metric: What is reported, such as ``val/mrr``.
        parameters: The trial's parameters, for W&B.
        reports: Whether this run's epochs are the trial's; of several seeds only the first's are.

    Attributes:
        seconds: How long the training took, and the ranking with the best checkpoint after it.
        told: Whether W&B was told of the trial, where it is tracked.
    """

    def __init__(
        self, trial: optuna.Trial, metric: str, parameters: dict[str, Any], reports: bool
    ) -> None:
        self.trial = trial
        self.metric = metric
        self.parameters = parameters
        self.reports = reports
        self.seconds = 0.0
        self.told = False
        self._began = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Tell W&B which trial this is."""
        self._began = time.perf_counter()
        about = {"trial": {"number": self.trial.number, "parameters": self.parameters}}
        self._tell(trainer, lambda run: run.config.update(about, allow_val_change=True))

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note how long the training took."""
        self.seconds += time.perf_counter() - self._began

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note when the ranking after the training began."""
        if trainer.state.fn == "validate":
            self._began = time.perf_counter()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Report the epoch; raise TrialPruned where the pruner gives the trial up.

        Raises:
            optuna.TrialPruned: The pruner ends the trial.
        """
        value = float(trainer.callback_metrics.get(self.metric, math.nan))
        if trainer.state.fn == "validate":
            self.seconds += time.perf_counter() - self._began
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
        """Tell something to the W&B run, of which a study has one at most."""
        self.told = True
        trackers = [each for each in trainer.loggers if isinstance(each, WandbTracker)]
        if trackers:
            trackers[0].safely(lambda: tell(trackers[0].experiment))


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


def track_unbegun(
    definition: Definition, folder: Path, trial: optuna.Trial, state: str, reason: str
) -> None:
    """Make the W&B run of a trial that ended before its training began, with the reason."""
    tracker = _tracker(
        definition,
        folder / "trials" / f"{trial.number:05d}_{state}",
        f"trial_{trial.number:05d}",
        "trial",
        {"trial": {"number": trial.number, "parameters": trial.params}},
    )
    if tracker is not None:
        summary = {"trial/state": state, "trial/reason": reason[:500]}
        tracker.safely(lambda: tracker.experiment.summary.update(summary))
        tracker.finish()


def track_summary(
    definition: Definition, folder: Path, summary: Mapping[str, Any], history: Path, best: Path
) -> Path | None:
    """Write the study's summary run (a later one goes on with the same): figures, history, config.

    Returns:
        The folder of the run where W&B is offline, else None.
    """
    tracker = _tracker(
        definition, folder / "summary", f"{definition.name} summary", "sweep", definition.to_dict()
    )
    if tracker is None:
        return None

    def log() -> None:
        tracker.experiment.log({"study/history": wandb.Image(str(history))})
        tracker.experiment.summary.update(dict(summary))

    tracker.safely(log)
    tracker.add_file(best, "config", f"{definition.name}-best")
    return tracker.finish()


def _tracker(
    definition: Definition, folder: Path, name: str, job_type: str, config: dict[str, Any]
) -> WandbTracker | None:
    if definition.tracker is None:
        return None
    settings = definition.tracker
    given = {name: settings[name] for name in ("project", "tags") if name in settings}
    tracker = WandbTracker(
        **given, name=name, group=definition.name, job_type=job_type, save_dir=str(folder)
    )
    tracker.describe(
        name=name,
        run_id=RunFolder(folder).wandb_id(),
        job_type=job_type,
        tags=[f"corpus={definition.corpus}"],
        config=config,
    )
    return tracker
