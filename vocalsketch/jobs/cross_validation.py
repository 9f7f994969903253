"""Ten-fold cross-validation: a fresh model for each fold, and all of them counted together."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from rich.console import Console
from rich.table import Table

from vocalsketch.callbacks.results import show_picture, write_confusion
from vocalsketch.callbacks.wandb_tracker import trackers
from vocalsketch.datamodules import UrbanSoundDataModule
from vocalsketch.datasets.labelled import FOLDS
from vocalsketch.errors import ConfigError
from vocalsketch.experiment.parser import ExperimentCLI
from vocalsketch.experiment.run_folder import RunFolder
from vocalsketch.files import write_text
from vocalsketch.jobs.job import Job, Slot, clips_fingerprint, fingerprint
from vocalsketch.jobs.progress import complete
from vocalsketch.retrieval.results import corpus_tag
from vocalsketch.tasks.classification import Confusion, summed

FIGURES = "accuracy_test.json"  # of a fold


@dataclass(frozen=True)
class CrossValidation:
    """What each fold came to."""

    system: str  # name of what was trained, such as ``pretrain_urbansound8k``
    corpus: str  # name of the corpus
    folds: dict[int, Confusion]  # the confusion on each held-out fold

    @property
    def accuracies(self) -> dict[int, float]:
        """Accuracy on each held-out fold."""
        return {fold: confusion.accuracy for fold, confusion in self.folds.items()}

    @property
    def mean(self) -> float:
        """Mean accuracy over folds."""
        return statistics.fmean(self.accuracies.values())

    @property
    def deviation(self) -> float:
        """Standard deviation of the folds' accuracies (n - 1 in the denominator); 0 for one."""
        return statistics.stdev(self.accuracies.values()) if len(self.folds) > 1 else 0.0

    @property
    def pooled(self) -> Confusion:
        """The clips of all folds counted together."""
        return summed(list(self.folds.values()))

    @property
    def title(self) -> str:
        """What stands above tables and pictures."""
        return f"{self.system}, {len(self.folds)} folds\n{corpus_tag(self.corpus)}"

    def table(self) -> Table:
        """Return accuracy per fold, mean and standard deviation, to be printed."""
        table = Table(title=self.title)
        for column in ("held-out fold", "clips", "accuracy", "chance"):
            table.add_column(column, justify="right")
        for fold, each in self.folds.items():
            table.add_row(str(fold), *_cells(each))
        table.add_section()
        table.add_row("mean", "", f"{self.mean:.3f}", "")
        table.add_row("standard deviation", "", f"{self.deviation:.3f}", "")
        table.add_row("all clips", *_cells(self.pooled))
        table.add_row("p (binomial)", "", f"{self.pooled.p_value:.2g}", "")
        return table

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as the result file holds them."""
        return {
            "system": self.system,
            "corpus": self.corpus,
            "accuracy": {str(fold): value for fold, value in self.accuracies.items()},
            "mean": self.mean,
            "standard_deviation": self.deviation,
            "all": self.pooled.to_dict(),
        }


def _cells(of: Confusion) -> tuple[str, str, str]:
    return str(of.clips), f"{of.accuracy:.3f}", f"{of.chance:.3f}"


def cross_validate(
    arguments: list[str],
    folder: Path,
    folds: Sequence[int] = tuple(FOLDS),
    slots: Sequence[Slot] = (),
) -> CrossValidation:
    """Train and test a fresh model per fold; print and write what they came to.

    Each fold is a run of its own in ``<folder>/fold<k>``; folds that were done before are not done
    again, those of another config are moved to ``<folder>/replaced``. When the last is done,
    ``cross_validation.json`` and the confusion matrix over all folds (CSV and PNG, and in W&B) are
    written. ``arguments`` are those of ``vocalsketch fit`` without ``--run_dir``.

    Raises:
        ConfigError: The config is not about folds, or a fold is out of range.
        JobError: A fold failed; the same call goes on.
        KeyboardInterrupt: Ctrl-C ended it; the same call goes on.
        StorageError: Another process is at work in the folder.
    """
    wrong = [fold for fold in folds if fold not in FOLDS]
    if wrong or not folds or len(set(folds)) < len(folds):
        raise ConfigError(f"folds is {list(folds)}: name folds 1 to {FOLDS[-1]}, each once.")
    cli = ExperimentCLI("fit", [*arguments, "--run_dir", str(folder)])
    data = cli.datamodule
    if not isinstance(data, UrbanSoundDataModule):
        raise ConfigError(
            f"{type(data).__name__} has no folds: cross-validate a config whose data is "
            "UrbanSoundDataModule, such as conf/pretrain_urbansound8k.yaml."
        )
    with RunFolder(folder).alone():
        config = yaml.safe_load(cli.resolved())
        del config["data"]["init_args"]["fold"]
        if len(slots) > 1:
            data.prepare_data()  # once, not by each
        clips = {clip.path: (clip.id, clip.label, clip.group) for clip in data.corpus.clips}
        content, seed = clips_fingerprint(data.corpus.name, clips), config["seed_everything"]
        jobs = [
            Job(
                f"{cli.name}/fold{fold}",
                folder / f"fold{fold}",
                (*arguments, "--data.init_args.fold", str(fold)),
                fingerprint(config, seed=seed, corpus=content, split=f"fold {fold}"),
                makes=FIGURES,
            )
            for fold in folds
        ]
        complete(jobs, slots)
        done = {fold: _confusion(job.folder) for fold, job in zip(folds, jobs, strict=True)}
        result = CrossValidation(cli.name, data.corpus.name, done)
        _write(folder, result, cli)
    return result


def _confusion(folder: Path) -> Confusion:
    figures = json.loads((folder / FIGURES).read_text(encoding="utf-8"))
    return Confusion(tuple(figures["classes"]), np.array(figures["confusion"], dtype=np.int64))


def _write(folder: Path, result: CrossValidation, cli: ExperimentCLI) -> None:
    write_text(folder / "cross_validation.json", json.dumps(result.to_dict(), indent=2) + "\n")
    picture = write_confusion(folder / "confusion", result.pooled, result.title)
    for tracker in trackers(cli.trainer):
        tracker.describe(
            name=f"{result.system} cross-validation",
            run_id=RunFolder(folder).wandb_id(),
            job_type="crossvalidate",
            tags=[f"corpus={result.corpus}"],
            config=yaml.safe_load(cli.resolved()),
        )
        tracker.log_metrics({"accuracy/mean": result.mean, "accuracy/deviation": result.deviation})
        show_picture(tracker, "test/confusion", picture)
        tracker.finish()
    console = Console()
    console.print(result.table())
    console.print(f"Saved in {folder}")
