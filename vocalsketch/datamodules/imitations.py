"""Development imitations alone, for a system that learns without labels (IMISOUND)."""

import torch
from torch.utils.data import DataLoader, Dataset

from vocalsketch.datamodules.batches import ClipBatch, Clips
from vocalsketch.datamodules.loading import RowBatchSampler, batch_loader, process_of
from vocalsketch.datamodules.retrieval import RetrievalDataModule
from vocalsketch.datasets.records import OnBadAudio
from vocalsketch.domain import Indices
from vocalsketch.features.cqt import CQT
from vocalsketch.features.front_end import FrontEnd


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
        sampler = RowBatchSampler[Indices](
            len(self._trained),
            batch_size=self.batch_size,
            order_seed=self.seed,
            **process_of(self.trainer),
        )
        return batch_loader(ImitationBatches(self._trained), sampler, self.workers)
