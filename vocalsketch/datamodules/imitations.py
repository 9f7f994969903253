"""Development imitations alone, for a system that learns without labels (IMISOUND)."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, DistributedSampler

from vocalsketch.datamodules.batches import ClipBatch, ClipFeatures, Clips, Side
from vocalsketch.datamodules.pairing import Indices
from vocalsketch.datamodules.retrieval import RetrievalDataModule
from vocalsketch.datasets.records import OnBadAudio
from vocalsketch.errors import ConfigError
from vocalsketch.features.cqt import CQT
from vocalsketch.features.front_end import FrontEnd


class ShuffledClips(DistributedSampler[tuple[Side, Indices]]):
    """Yields ("imitation", rows) of each batch, in an order drawn from seed and epoch.

    It is a DistributedSampler only in that each process is given its own part and that the
    Trainer, seeing one, leaves it in place and tells it the epoch.

    Args:
        clips: How many clips there are.
        batch_size: Clips in a batch of one process.
        seed: Seed of the order.
        rank: Which process this is.
        processes: How many processes share an epoch.
    """

    def __init__(
        self, clips: int, *, batch_size: int, seed: int, rank: int = 0, processes: int = 1
    ) -> None:
        if batch_size < 1:
            raise ConfigError(f"batch_size is {batch_size}: give at least 1 clip.")
        self.clips = clips
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.processes = processes
        self.epoch = 0

    @property
    def share(self) -> int:
        """Clips of each process in an epoch."""
        return -(-self.clips // self.processes)

    def __len__(self) -> int:
        """Batches of this process in an epoch."""
        return -(-self.share // self.batch_size)

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of the coming epoch."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[tuple[Side, Indices]]:
        """Yield the rows of each of this process's batches."""
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.clips)
        # np.resize repeats the first clips where they do not divide among the processes
        mine = np.resize(order, self.share * self.processes)[self.rank :: self.processes]
        for start in range(0, self.share, self.batch_size):
            yield "imitation", mine[start : start + self.batch_size]


class ImitationsDataModule(RetrievalDataModule):
    """The training imitations of a corpus's development sounds (paper, section VI-C).

    What they imitate is not told. Validation and test are those of every retrieval system.

    Args:
        root: ``demo``, a VocalSketch tree, a folder with sounds/ and imitations/, or a CSV of
            (imitation, sound, category).
        imitation_front_end: Turns imitations into spectrograms.
        recording_front_end: Turns recordings into spectrograms.
        batch_size: Imitations in a batch of one process.
        split: ``paper``, ``random``, ``fold K/N``, or the path of a manifest.
        seed: Draws the order and random splits; the run's seed if left out.
        evaluation_batch_size: Clips embedded at once when evaluating.
        on_bad_audio: ``error`` names every unusable file and stops; ``skip`` goes on without.
        jobs: Processes that compute features; all cores if left out.
        workers: Processes that read batches; 0 reads in the training process, which is enough.
    """

    def __init__(
        self,
        root: str = "demo",
        imitation_front_end: FrontEnd = CQT(),
        recording_front_end: FrontEnd = CQT(),
        batch_size: int = 16,
        split: str = "paper",
        seed: int | None = None,
        evaluation_batch_size: int = 128,
        on_bad_audio: OnBadAudio = "error",
        jobs: int | None = None,
        workers: int = 0,
    ) -> None:
        super().__init__(
            root,
            imitation_front_end,
            recording_front_end,
            split=split,
            seed=seed,
            evaluation_batch_size=evaluation_batch_size,
            on_bad_audio=on_bad_audio,
            jobs=jobs,
            workers=workers,
        )
        self.batch_size = batch_size
        self._trained: Clips | None = None

    def prepare_data(self) -> None:
        """Compute the features that the coming stage needs, on one process."""
        super().prepare_data()
        if self.trainer is None or self.trainer.state.fn == "fit":
            self.readable(self.imitations_of("train"), "imitation", progress=True)

    def setup(self, stage: str) -> None:
        """Open the features that the stage needs."""
        super().setup(stage)
        if stage == "fit" and self._trained is None:
            self._trained = self.readable(self.imitations_of("train"), "imitation")[1]

    def train_dataloader(self) -> DataLoader[ClipBatch]:
        """Return batches of imitations; the same for the same seed and number of processes."""
        assert self._trained is not None, "setup('fit') comes first"
        sampler = ShuffledClips(
            len(self._trained), batch_size=self.batch_size, seed=self.seed, **self.processes()
        )
        no_recordings = Clips(self._trained.table, [])
        loader: DataLoader[Any] = self.loader(ClipFeatures(self._trained, no_recordings), sampler)
        return loader
