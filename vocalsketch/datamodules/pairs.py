"""What systems train on: pairs of an imitation and a recording, or imitations alone."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from vocalsketch.datamodules.batches import (
    ClipBatch,
    Clips,
    PairBatch,
    RowBatchSampler,
    batch_loader,
    clip_batch,
    process_of,
)
from vocalsketch.datamodules.retrieval import Pairs, RetrievalDataModule, draw_pairs
from vocalsketch.datasets.records import Imitation, Sound
from vocalsketch.domain import Indices
from vocalsketch.errors import ConfigError


class PairBatchSampler(RowBatchSampler[Pairs]):
    """Yields the pairs of each batch; the same for the same seed, epoch and number of processes.

    ``targets`` are (imitations,) rows of recordings; the other arguments are those of
    ``PairsDataModule``, and ``rank`` and ``processes``.
    """

    def __init__(
        self,
        targets: Indices,
        recordings: int,
        *,
        batch_size: int,
        grouped: bool,
        redraw: bool,
        seed: int,
        **process: int,
    ) -> None:
        self.pairs_per_row = 2 if grouped else 1
        super().__init__(
            2 * len(targets) // self.pairs_per_row,
            batch_size=batch_size // self.pairs_per_row,
            order_seed=seed,
            **process,
        )
        self.targets = targets
        self.recordings = recordings
        self.redraw = redraw

    def pairs(self) -> Pairs:
        """Return all pairs of the epoch, over all processes."""
        drawn_in = self.epoch if self.redraw else 0
        generator = np.random.default_rng([self.order_seed or 0, drawn_in, 0])
        return draw_pairs(self.targets, self.recordings, generator)

    def __iter__(self) -> Iterator[Pairs]:
        pairs = self.pairs()
        for rows in super().__iter__():
            wanted = rows[:, None] * self.pairs_per_row + np.arange(self.pairs_per_row)
            yield pairs.take(wanted.reshape(-1))


class PairsDataModule(RetrievalDataModule):
    """Positive and negative pairs of a corpus's development sounds (paper, section VI-A).

    Args:
        root: As ``RetrievalDataModule``.
        batch_size: Pairs in a batch of one process.
        grouped: Keep an imitation's positive and negative pair in one batch: faster, since the
            imitation passes through its tower once for both; false draws pairs independently.
        redraw: Draw new negative pairs each epoch; false draws them once, as in the paper.
        options: As ``RetrievalDataModule``.
    """

    def __init__(
        self,
        root: str = "demo",
        batch_size: int = 128,
        grouped: bool = True,
        redraw: bool = False,
        **options: Any,
    ) -> None:
        if batch_size < 2 or (grouped and batch_size % 2):
            raise ConfigError(
                f"batch_size is {batch_size}: give an even number of pairs, 2 or more "
                "(or grouped: false for an odd one)."
            )
        super().__init__(root, **options)
        self.batch_size = batch_size
        self.grouped = grouped
        self.redraw = redraw

    def train_dataloader(self) -> DataLoader[PairBatch]:
        """Return batches of pairs; the same for the same seed and number of processes."""
        recordings = self.clips("recording", "train")
        imitations, targets = self.with_targets("train")
        sampler = PairBatchSampler(
            targets,
            len(recordings),
            batch_size=self.batch_size,
            grouped=self.grouped,
            redraw=self.redraw,
            seed=self.seed,
            **process_of(self.trainer),
        )
        make = partial(pair_batch, imitations, recordings)
        return batch_loader(make, sampler, self.reading.workers)


class ImitationsDataModule(RetrievalDataModule):
    """The training imitations of a corpus's development sounds (paper, section VI-C).

    What they imitate is not told. Validation and test are those of every retrieval system.

    Args:
        root: As ``RetrievalDataModule``.
        batch_size: Imitations in a batch of one process.
        options: As ``RetrievalDataModule``.
    """

    def __init__(self, root: str = "demo", batch_size: int = 16, **options: Any) -> None:
        super().__init__(root, **options)
        self.batch_size = batch_size

    def train_dataloader(self) -> DataLoader[ClipBatch]:
        """Return batches of imitations; the same for the same seed and number of processes."""
        trained = self.clips("imitation", "train")
        sampler = RowBatchSampler[Indices](
            len(trained),
            batch_size=self.batch_size,
            order_seed=self.seed,
            **process_of(self.trainer),
        )
        return batch_loader(partial(_imitation_batch, trained), sampler, self.reading.workers)


def pair_batch(imitations: Clips[Imitation], recordings: Clips[Sound], pairs: Pairs) -> PairBatch:
    """Read each distinct clip of the pairs once."""
    imitation_rows, imitation_index = np.unique(pairs.imitation, return_inverse=True)
    recording_rows, recording_index = np.unique(pairs.recording, return_inverse=True)
    return PairBatch(
        imitations.read(imitation_rows),
        recordings.read(recording_rows),
        torch.from_numpy(imitation_index),
        torch.from_numpy(recording_index),
        torch.from_numpy(pairs.label),
    )


def _imitation_batch(imitations: Clips[Imitation], rows: Indices) -> ClipBatch:
    return clip_batch({"imitation": imitations}, ("imitation", rows))
