"""Writes what a classifier takes for what into the run's folder, and shows it in W&B."""

import csv
import json
from pathlib import Path

import pytorch_lightning as pl
import wandb

from vocalsketch.callbacks.wandb_tracker import WandbTracker
from vocalsketch.datamodules.classification import ClassificationDataModule, Part
from vocalsketch.files import write_text, written_whole
from vocalsketch.retrieval.results import corpus_tag
from vocalsketch.tasks.classification import ClassificationTask
from vocalsketch.tasks.confusion import Confusion

DOTS_PER_INCH = 120


class ConfusionWriter(pl.Callback):
    """Writes accuracy and the confusion matrix at the end of ``validate`` and ``test``.

    ``accuracy_<part>.json`` holds the figures, ``confusion_<part>.csv`` the counts (a row per
    true class) and ``confusion_<part>.png`` a picture, which W&B shows as ``<part>/confusion``.

    Args:
        folder: Where to.
        system: Name of what is evaluated, such as ``pretrain_voxforge``.

    Attributes:
        written: The confusion of each part evaluated, on every process.
    """

    def __init__(self, folder: Path, system: str) -> None:
        self.folder = folder
        self.system = system
        self.written: dict[Part, Confusion] = {}

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the validation part's figures, unless this validation is a part of training."""
        if trainer.state.fn == "validate" and isinstance(pl_module, ClassificationTask):
            self._write(trainer, pl_module.confusion("val"), "validation")

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the test part's figures."""
        if isinstance(pl_module, ClassificationTask):
            self._write(trainer, pl_module.confusion("test"), "test")

    def title(self, part: Part, corpus: str) -> str:
        """Return what stands above tables and pictures."""
        return f"{self.system}, {part} clips\n{corpus_tag(corpus)}"

    def _write(self, trainer: pl.Trainer, confusion: Confusion, part: Part) -> None:
        data = trainer.datamodule  # type: ignore[attr-defined]  # Lightning sets it
        assert isinstance(data, ClassificationDataModule)
        self.written[part] = confusion
        if not trainer.is_global_zero:
            return
        figures = {
            "system": self.system,
            "part": part,
            "corpus": data.corpus.name,
            "split": data.split_name(),
            "skipped": {reason: list(names) for reason, names in data.skipped(part).items()},
            **confusion.to_dict(),
        }
        write_counts(self.folder / f"confusion_{part}.csv", confusion)
        picture = self.folder / f"confusion_{part}.png"
        write_picture(picture, confusion, self.title(part, data.corpus.name))
        # last: who finds it takes the part for done
        write_text(self.folder / f"accuracy_{part}.json", json.dumps(figures, indent=2) + "\n")
        for tracker in trainer.loggers:
            if isinstance(tracker, WandbTracker):
                show_picture(tracker, f"{part}/confusion", picture)


def write_counts(path: Path, confusion: Confusion) -> None:
    """Write a line per true class, a column per predicted class."""
    with written_whole(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(["true class", *confusion.classes])
        for name, row in zip(confusion.classes, confusion.counts.tolist(), strict=True):
            writer.writerow([name, *row])


def write_picture(path: Path, confusion: Confusion, title: str) -> None:
    """Write the confusion matrix as a PNG."""
    with written_whole(path) as temporary:
        confusion.picture(title).savefig(temporary, dpi=DOTS_PER_INCH, format="png")


def show_picture(tracker: WandbTracker, name: str, path: Path) -> None:
    """Log a picture to W&B."""
    tracker.safely(lambda: tracker.experiment.log({name: wandb.Image(str(path))}))
