"""Pairs of an imitation and a recording, for the Siamese-style networks."""

from typing import Any

from torch.utils.data import DataLoader

from vocalsketch.datamodules.batches import PairBatch, PairFeatures
from vocalsketch.datamodules.loading import batch_loader, process_of
from vocalsketch.datamodules.pairing import PairBatchSampler, check_batch_size
from vocalsketch.datamodules.retrieval import RetrievalDataModule


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
        check_batch_size(batch_size, grouped)
        super().__init__(root, **options)
        self.batch_size = batch_size
        self.grouped = grouped
        self.redraw = redraw

    def train_dataloader(self) -> DataLoader[PairBatch]:
        """Return batches of pairs; the same for the same seed and number of processes."""
        recordings = self.sounds("validation").clips
        _, imitations, targets = self.with_targets("train")
        sampler = PairBatchSampler(
            targets,
            len(recordings),
            batch_size=self.batch_size,
            grouped=self.grouped,
            redraw=self.redraw,
            seed=self.seed,
            **process_of(self.trainer),
        )
        features = PairFeatures(imitations, recordings)
        return batch_loader(features, sampler, self.reading.workers)
