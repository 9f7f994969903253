"""Running one experiment: train, then rank both halves with the best checkpoint, or only rank."""

import os
import shlex
import signal
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
import yaml
from pytorch_lightning.callbacks import ModelCheckpoint, WeightAveraging
from rich.console import Console

from vocalsketch.callbacks.results import ResultsWriter
from vocalsketch.callbacks.wandb_tracker import trackers
from vocalsketch.datamodules import (
    ClassificationDataModule,
    ImitationsDataModule,
    RetrievalDataModule,
)
from vocalsketch.datamodules.batches import Part
from vocalsketch.datasets.splits import write_manifest
from vocalsketch.domain import Half
from vocalsketch.errors import CheckpointError
from vocalsketch.experiment.parser import ExperimentCLI
from vocalsketch.experiment.refusals import check_fit, refusals_explained, without_noise
from vocalsketch.experiment.run_folder import (
    CHOSEN,
    changes,
    checkpoint_to_go_on_from,
    refuse_another_split,
)
from vocalsketch.retrieval.results import Results, results_table
from vocalsketch.spread.threads import set_allocation
from vocalsketch.systems import System
from vocalsketch.systems.checkpoints import check_fits
from vocalsketch.tasks import RetrievalTask
from vocalsketch.tasks.classification import Confusion

Command = Literal["fit", "validate", "test", "predict"]
# of glibc's mallopt, M_MMAP_MAX, M_TRIM_THRESHOLD and M_TOP_PAD: no large array has pages of its
# own, none go back, and many are taken at once
ALLOCATION = {-4: 0, -1: 2**31 - 1, -2: 64 * 2**20}


@dataclass(frozen=True)
class Outcome:
    """What a run came to."""

    folder: Path  # where everything was saved
    # the results of each half that was evaluated, of a retrieval system
    results: dict[Half, Results]
    metrics: dict[str, float]  # the metrics logged last, such as ``val/loss``
    # what was taken for what in each part that was evaluated, by a classifier
    confusions: dict[Part, Confusion] = field(default_factory=dict)


@without_noise()
def run_experiment(
    command: Command, arguments: list[str], callbacks: Sequence[pl.Callback] = ()
) -> Outcome:
    """Run a command as the command line would, with more callbacks than the config's.

    ``arguments`` are such as ``["--config", "conf/iminet_tied.yaml", "--seed_everything", "3"]``.

    Raises:
        VocalSketchError: Bad input, whatever it is.
        KeyboardInterrupt: Ctrl-C ended the training early.
    """
    cli = ExperimentCLI(command, arguments, callbacks)
    os.environ[CHOSEN] = str(cli.folder.path)
    on_ctrl_c = signal.getsignal(signal.SIGINT)
    try:
        writes = cli.trainer.is_global_zero and not cli.config.trainer.fast_dev_run
        with refusals_explained(), cli.folder.alone() if writes else nullcontext():
            _fit(cli) if command == "fit" else _evaluate(cli, command)
    except SystemExit:
        if not cli.trainer.interrupted:  # the Trainer's answer to Ctrl-C
            raise
    finally:
        if signal.getsignal(signal.SIGINT) != on_ctrl_c:
            signal.signal(signal.SIGINT, on_ctrl_c)
        del os.environ[CHOSEN]
        offline = [tracker.finish() for tracker in trackers(cli.trainer)]
    if cli.trainer.is_global_zero:
        _report(cli, [folder for folder in offline if folder])
    if cli.trainer.interrupted:
        raise KeyboardInterrupt
    metrics = {name: float(value) for name, value in cli.trainer.callback_metrics.items()}
    return Outcome(cli.folder.path, cli.results.written, metrics, cli.results.confusions)


def keep_memory() -> None:
    """Keep memory that is freed, on Linux, instead of giving it back to the system.

    A step on a processor frees and takes hundreds of megabytes, each page of which costs a fault.
    """
    set_allocation(ALLOCATION)


def _fit(cli: ExperimentCLI) -> None:
    """Train, then evaluate with the best checkpoint."""
    keep_memory()
    once = bool(cli.config.trainer.fast_dev_run)  # which leaves the folder as it is
    data = cli.datamodule
    validates = not isinstance(data, ClassificationDataModule) or data.validates
    stages = ["val"] * validates + ["test"] * cli.config.test_after_fit
    if not once:
        check_fit(cli.config.trainer, stages)
    asked = cli.config.ckpt_path
    fresh = once and asked is None
    resumed = None if fresh else checkpoint_to_go_on_from(cli.folder, asked, cli.trainer)
    if resumed:
        check_fits(resumed, cli.model)
        refuse_another_split(resumed, cli.datamodule, goes_on=True)
    elif isinstance(cli.model, RetrievalTask):
        cli.model.begin_training()
    _describe(cli)
    best = _train(cli, resumed)
    if once:
        return
    for tracker in trackers(cli.trainer):
        tracker.add_file(cli.folder.config, "config", f"{cli.name}-config")
        if cli.folder.split.exists():
            tracker.add_file(cli.folder.split, "split", f"{cli.name}-split")
        if best and tracker.upload_checkpoint:
            tracker.add_file(best, "model", f"{cli.name}-best")
    metrics = dict(cli.trainer.callback_metrics)
    for stage in stages:
        _run_stage(cli, "validate" if stage == "val" else stage, best)
        metrics.update(cli.trainer.callback_metrics)
    cli.trainer.callback_metrics.update(metrics)


class _Beginning(pl.Callback):
    """Writes down what is run, once all that it goes on from is loaded and known to fit."""

    def __init__(self, cli: ExperimentCLI, resume: bool) -> None:
        self.cli = cli
        self.resume = resume
        self.done = bool(cli.config.trainer.fast_dev_run) or not cli.trainer.is_global_zero

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write it before the first step; train no further where early stopping had ended it."""
        self.write()
        trainer.should_stop = any(each.stopped_epoch for each in trainer.early_stopping_callbacks)

    def write(self) -> None:
        """Write it, unless that is done."""
        if self.done:
            return
        self.done, folder, config = True, self.cli.folder, self.cli.resolved()
        if self.resume and (changed := changes(folder, config)):
            print(f"The run goes on with another config than before: {'; '.join(changed)}")
        folder.begin(config, self.resume)
        if isinstance(self.cli.datamodule, RetrievalDataModule):
            write_manifest(self.cli.datamodule.split, folder.split)


def _train(cli: ExperimentCLI, resumed: Path | None) -> Path | None:
    """Train, unless the training had ended by itself; return the best checkpoint."""
    beginning = _Beginning(cli, bool(resumed))
    cli.trainer.callbacks.append(beginning)  # type: ignore[attr-defined]  # Lightning's
    cli.trainer.fit(cli.model, cli.datamodule, ckpt_path=resumed, weights_only=True)
    beginning.write()  # where no epoch was left, Lightning started none
    for callback in cli.trainer.callbacks:  # type: ignore[attr-defined]  # likewise
        if isinstance(callback, WeightAveraging):
            callback._average_model = None  # or test would rank weights before averaging
    return _best(cli.trainer)


def _evaluate(cli: ExperimentCLI, command: str) -> None:
    if cli.config.ckpt_path is None:
        raise CheckpointError(
            f"{command} needs a trained model: give --ckpt_path, a path or best with --run_dir."
        )
    checkpoint = cli.folder.checkpoint(cli.config.ckpt_path)
    check_fits(checkpoint, cli.model)
    refuse_another_split(checkpoint, cli.datamodule, goes_on=False)
    _describe(cli)
    _run_stage(cli, command, checkpoint)


def _run_stage(cli: ExperimentCLI, stage: str, checkpoint: Path | None) -> None:
    options = {"return_predictions": False} if stage == "predict" else {"verbose": False}
    given = {"ckpt_path": checkpoint, "weights_only": True, "datamodule": cli.datamodule}
    getattr(cli.trainer, stage)(cli.model, **given, **options)


def _best(trainer: pl.Trainer) -> Path | None:
    """Return the best checkpoint by the first monitored callback; None to use the last weights."""
    for callback in trainer.checkpoint_callbacks:
        if isinstance(callback, ModelCheckpoint) and callback.monitor and callback.best_model_path:
            return Path(callback.best_model_path)
    return None


def _describe(cli: ExperimentCLI) -> None:
    """Tell the tracker what is run, before it begins."""
    corpus = getattr(cli.datamodule, "corpus", None)
    for tracker in trackers(cli.trainer):
        tracker.describe(
            name=cli.name,
            run_id=cli.folder.wandb_id(),
            job_type=cli.command,
            tags=[f"corpus={corpus.name}"] if corpus else [],
            config=yaml.safe_load(cli.resolved()),
        )


def _report(cli: ExperimentCLI, offline: list[Path]) -> None:
    console = Console()
    for results in cli.results.written.values():
        console.print(results_table(results))
    for part, confusion in cli.results.confusions.items():
        print(cli.results.title(part, cli.datamodule.corpus.name), confusion.table(), sep="\n")
    # paths and commands are printed as they are, to be copied; a console would break their lines
    if cli.trainer.interrupted:
        print(
            f"Interrupted. Go on from the last whole epoch with: --run_dir "
            f"{shlex.quote(str(cli.folder.path))} --ckpt_path last"
        )
    elif not cli.config.trainer.fast_dev_run:
        print(f"Saved in {cli.folder.path}")
    for folder in (shlex.quote(str(each)) for each in offline):
        print(f"W&B, offline: look with `wandb leet {folder}`, upload with `wandb sync {folder}`.")


@without_noise()
def rank(
    folder: Path, name: str, system: System, data: Mapping[str, Any], half: Half = "test"
) -> Results:
    """Rank a half of a corpus, write the results into a folder and return them.

    The system stands in them under ``name``; ``data`` are settings of a data module.
    """
    ends: Any = {f"{side}_front_end": end for side, end in system.front_ends.items()}
    writer = ResultsWriter(folder, name)
    trainer = pl.Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        callbacks=[writer],
    )
    evaluate = trainer.test if half == "test" else trainer.validate
    evaluate(RetrievalTask(system), ImitationsDataModule(**data, **ends), verbose=False)
    return writer.written[half]
