"""Clips with classes, for the pre-training of a tower."""

from abc import abstractmethod
from collections.abc import Mapping
from functools import cached_property, partial
from typing import Any, ClassVar

import numpy as np
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from vocalsketch.datamodules.batches import (
    Clips,
    LabelledBatch,
    Part,
    Reading,
    RowBatchSampler,
    batch_loader,
    process_of,
)
from vocalsketch.datasets.labelled import LabelledClip, LabelledCorpus
from vocalsketch.domain import Indices, Side
from vocalsketch.errors import ConfigError, DatasetError
from vocalsketch.features.front_end import FrontEnd
from vocalsketch.features.store import FeatureStore


class ClassificationDataModule(pl.LightningDataModule):
    """Clips of known classes, in parts that train, validate and test.

    A subclass reads a corpus and says which clips belong to which part. Only what a stage needs
    is read: ``fit`` never opens a clip of the test part.

    Args:
        front_end: Turns clips into spectrograms.
        batch_size: Clips in a batch of one process.
        reading: As ``Reading``.
    """

    side: ClassVar[Side]  # whose tower its clips pre-train

    def __init__(self, front_end: FrontEnd, batch_size: int = 128, **reading: Any) -> None:
        super().__init__()
        self.front_end = front_end
        self.batch_size = batch_size
        self.reading = Reading(**reading)
        self.seed = self.reading.drawn_from
        self.store = FeatureStore()
        self._opened: dict[Part, tuple[Clips[LabelledClip], Indices]] = {}

    @cached_property
    @abstractmethod
    def corpus(self) -> LabelledCorpus:
        """The corpus, read from its folders or tables; no audio is decoded."""

    @cached_property
    @abstractmethod
    def parts(self) -> Mapping[Part, tuple[str, ...]]:
        """The ids of the clips that train, validate (perhaps none) and test."""

    @abstractmethod
    def split_name(self) -> str:
        """Return in words how the clips are divided."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, by index."""
        return self.corpus.classes

    @property
    def input_shape(self) -> tuple[int, int]:
        """(bins, frames) of a spectrogram."""
        return self.front_end.shape

    @property
    def validates(self) -> bool:
        """Whether some training clips are kept for validation."""
        return bool(self.parts["validation"])

    def provenance(self) -> dict[str, Any]:
        """Return what a checkpoint should know of its data, as plain values."""
        return {"corpus": self.corpus.name, "split_name": self.split_name()}

    def skipped(self, part: Part) -> dict[str, tuple[str, ...]]:
        """Return what was found and not used, by reason."""
        bad = self._opened[part][0].skipped if part in self._opened else ()
        return {**self.corpus.skipped, **({"unreadable audio": bad} if bad else {})}

    def prepare_data(self) -> None:
        """Compute the features that the coming stage needs, on one process."""
        for part in _parts_of(self.trainer.state.fn if self.trainer else "fit"):
            self._open(part)

    def setup(self, stage: str) -> None:
        """Open the features that the stage needs; without validation clips, fit skips it."""
        if stage == "fit" and self.trainer is not None and not self.validates:
            self.trainer.limit_val_batches = 0  # an empty loader would be warned of
        for part in _parts_of(stage):
            self._open(part)

    def train_dataloader(self) -> DataLoader[LabelledBatch]:
        """Return shuffled batches; the same for the same seed and number of processes."""
        return self._loader("train", self.seed)

    def val_dataloader(self) -> DataLoader[LabelledBatch]:
        """Return the validation clips, each once.

        Raises:
            ConfigError: None are kept for validation.
        """
        if not self.validates:
            raise ConfigError(
                "No clips are kept for validation: set validation_share or validation_fold for "
                "the training, or run test."
            )
        return self._loader("validation")

    def test_dataloader(self) -> DataLoader[LabelledBatch]:
        """Return the test clips, each once."""
        return self._loader("test")

    def predict_dataloader(self) -> DataLoader[LabelledBatch]:
        """Refuse: nothing is ranked here."""
        raise ConfigError("predict scores queries and candidates; a classifier has none: use test.")

    def _loader(self, part: Part, order_seed: int | None = None) -> DataLoader[LabelledBatch]:
        clips, labels = self._opened[part]
        sampler = RowBatchSampler[Indices](
            len(clips),
            batch_size=self.batch_size,
            order_seed=order_seed,
            **process_of(self.trainer),
        )
        return batch_loader(partial(_labelled_batch, clips, labels), sampler, self.reading.workers)

    def _open(self, part: Part) -> None:
        """Open the clips of a part that can be used, unless they are.

        Raises:
            AudioError: A file cannot be used and ``on_bad_audio`` is ``error``.
            DatasetError: None is left.
        """
        if part in self._opened or not self.parts[part]:
            return
        ids = set(self.parts[part])
        wanted = [clip for clip in self.corpus.clips if clip.id in ids]
        clips = self.reading.open(self.store, self.front_end, wanted)
        if not len(clips):
            raise DatasetError(
                f"None of the {len(wanted)} {part} clips of {self.corpus.root} can be read: "
                "restore them (on_bad_audio: error names what is wrong with each)."
            )
        labels = [self.classes.index(clip.label) for clip in clips.records]
        self._opened[part] = clips, np.array(labels, dtype=np.int64)


def _labelled_batch(clips: Clips[LabelledClip], labels: Indices, rows: Indices) -> LabelledBatch:
    return LabelledBatch(clips.read(rows), torch.from_numpy(labels[rows]))


def _parts_of(stage: str | None) -> tuple[Part, ...]:
    if stage == "fit":
        return "train", "validation"
    return ("validation",) if stage == "validate" else ("test",)
