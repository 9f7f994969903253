"""Test queries in W&B: a table of ranks, and pictures and sounds of the best and the worst."""

from collections.abc import Iterator
from functools import partial

import numpy as np
import pytorch_lightning as pl
import wandb
from matplotlib import colormaps
from numpy.typing import NDArray
from torch import Tensor

from vocalsketch.callbacks.wandb_tracker import WandbTracker
from vocalsketch.datamodules.retrieval import RetrievalDataModule
from vocalsketch.domain import Side
from vocalsketch.retrieval.scores import CategoryScores
from vocalsketch.tasks.retrieval import RetrievalTask

Row = tuple[str, str, str, float, int, str]
COLUMNS = ("query", "target", "category", "rank", "candidates", "first ranked")
MEDIA = tuple(
    f"{role} {what}" for role in ("query", "target", "first") for what in ("spectrogram", "audio")
)


class RetrievalMedia(pl.Callback):
    """Logs ``test/queries`` (every query) and ``test/examples`` (with spectrograms and audio).

    Args:
        examples: How many of the best and how many of the worst queries of each category are
            shown with pictures and sounds.
    """

    def __init__(self, examples: int = 5) -> None:
        self.examples = examples

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log both tables where W&B tracks the run."""
        if not isinstance(pl_module, RetrievalTask):
            return
        scores = pl_module.category_scores()
        if scores is None or not trainer.is_global_zero:
            return
        data = trainer.datamodule  # type: ignore[attr-defined]  # Lightning sets it in test
        for tracker in trainer.loggers:
            if isinstance(tracker, WandbTracker):
                tracker.safely(partial(self._log, tracker, data, scores))

    def _log(
        self, tracker: WandbTracker, data: RetrievalDataModule, scores: list[CategoryScores]
    ) -> None:
        queries = wandb.Table(columns=list(COLUMNS))
        examples = wandb.Table(columns=[*COLUMNS, *MEDIA])
        for category in scores:
            rows = _rows(category)
            for row in rows:
                queries.add_data(*row)
            order = np.argsort(category.ranks, kind="stable")
            for query in dict.fromkeys([*order[: self.examples], *order[-self.examples :]]):
                examples.add_data(*rows[query], *_media(data, rows[query]))
        tracker.experiment.log({"test/queries": queries, "test/examples": examples})


def _rows(category: CategoryScores) -> list[Row]:
    names = np.array(category.candidates, dtype=object)
    first = names[category.scores.argmax(axis=1)]
    shown = zip(category.queries, names[category.targets], category.ranks, first, strict=True)
    return [
        (query, target, category.category, float(rank), len(names), best)
        for query, target, rank, best in shown
    ]


def _media(data: RetrievalDataModule, row: Row) -> Iterator[object]:
    sides: tuple[Side, ...] = ("imitation", "recording", "recording")
    for side, identity in zip(sides, (row[0], row[1], row[5]), strict=True):
        path, spectrogram = data.test_clip(side, identity)
        yield wandb.Image(picture(spectrogram), caption=identity)
        yield wandb.Audio(str(path), caption=identity)


def picture(spectrogram: Tensor) -> NDArray[np.uint8]:
    """Return (bins, frames, 3) pixels of a spectrogram (bins, frames), low frequencies below."""
    values = spectrogram.flip(0).numpy()
    low, high = float(values.min()), float(values.max())
    scaled = (values - low) / (high - low) if high > low else np.zeros_like(values)
    return np.asarray(colormaps["magma"](scaled, bytes=True)[..., :3], dtype=np.uint8)
