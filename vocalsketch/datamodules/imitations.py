"""Development imitations alone, for a system that learns without labels (IMISOUND)."""

from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from vocalsketch.datamodules.batches import ClipBatch, Clips
from vocalsketch.datamodules.loading import RowBatchSampler, batch_loader, process_of
from vocalsketch.datamodules.retrieval import RetrievalDataModule
from vocalsketch.domain import Indices


class ImitationBatches(Dataset[ClipBatch]):
    """Turns rows into a batch of imitations."""

    def __init__(self, imitations: Clips) -> None:
        self.imitations = imitations

    def __len__(self) -> int:
        """How many imitations there are."""
        return len(self.imitations)

    def __getitem__(self, rows: Indices) -> ClipBatch:
        """Read the imitations of a batch."""
        return ClipBatch("imitation", torch.from_numpy(rows), self.imitations.read(rows))


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
        trained = self.imitations("train").clips
        sampler = RowBatchSampler[Indices](
            len(trained),
            batch_size=self.batch_size,
            order_seed=self.seed,
            **process_of(self.trainer),
        )
        return batch_loader(ImitationBatches(trained), sampler, self.reading.workers)
