"""Pairs of an imitation and a recording, for the Siamese-style networks."""

from torch.utils.data import DataLoader

from vocalsketch.datamodules.batches import Clips, PairBatch, PairFeatures
from vocalsketch.datamodules.loading import batch_loader, process_of
from vocalsketch.datamodules.pairing import PairBatchSampler, check_batch_size
from vocalsketch.datamodules.retrieval import RetrievalDataModule, rows_of_targets
from vocalsketch.datasets.records import OnBadAudio
from vocalsketch.domain import Indices
from vocalsketch.features.cqt import CQT
from vocalsketch.features.front_end import FrontEnd


class PairsDataModule(RetrievalDataModule):
    """Positive and negative pairs of a corpus's development sounds (paper, section VI-A).

    Args:
        root: ``demo``, a VocalSketch tree, a folder with sounds/ and imitations/, or a CSV of
            (imitation, sound, category).
        imitation_front_end: Turns imitations into spectrograms; IMINET's CQT if left out.
        recording_front_end: Likewise for recordings.
        batch_size: Pairs in a batch of one process.
        grouped: Keep an imitation's positive and negative pair in one batch: faster, since the
            imitation passes through its tower once for both; false draws pairs independently.
        redraw: Draw new negative pairs each epoch; false draws them once, as in the paper.
        split: ``paper``, ``random``, ``fold K/N``, or the path of a manifest.
        seed: Draws pairs and random splits; the run's seed if left out.
        evaluation_batch_size: Clips embedded at once when evaluating.
        on_bad_audio: ``error`` names every unusable file and stops; ``skip`` goes on without.
        jobs: Processes that compute features; all cores if left out.
        workers: Processes that read batches; 0 reads in the training process, which is enough.
    """

    def __init__(
        self,
        root: str = "demo",
        imitation_front_end: FrontEnd | None = None,
        recording_front_end: FrontEnd | None = None,
        batch_size: int = 128,
        grouped: bool = True,
        redraw: bool = False,
        split: str = "paper",
        seed: int | None = None,
        evaluation_batch_size: int = 128,
        on_bad_audio: OnBadAudio = "error",
        jobs: int | None = None,
        workers: int = 0,
    ) -> None:
        super().__init__(
            root,
            # a front end as default would lend its parameters to another class named in a config
            imitation_front_end or CQT(),
            recording_front_end or CQT(),
            split=split,
            seed=seed,
            evaluation_batch_size=evaluation_batch_size,
            on_bad_audio=on_bad_audio,
            jobs=jobs,
            workers=workers,
        )
        check_batch_size(batch_size, grouped)
        self.batch_size = batch_size
        self.grouped = grouped
        self.redraw = redraw
        self._trained: tuple[Clips, Clips, Indices] | None = None

    def prepare_data(self) -> None:
        """Compute the features that the coming stage needs, on one process."""
        super().prepare_data()
        if self.trainer is None or self.trainer.state.fn == "fit":
            self.readable(self.imitations_of("train"), "imitation", progress=True)

    def setup(self, stage: str) -> None:
        """Open the features that the stage needs."""
        super().setup(stage)
        if stage == "fit" and self._trained is None:
            sounds, recordings, _ = self.readable(self.sounds_of("validation"), "recording")
            kept = {sound.id for sound in sounds}
            wanted = tuple(each for each in self.imitations_of("train") if each.sound_id in kept)
            imitations, clips, _ = self.readable(wanted, "imitation")
            self._trained = (clips, recordings, rows_of_targets(imitations, sounds))

    def train_dataloader(self) -> DataLoader[PairBatch]:
        """Return batches of pairs; the same for the same seed and number of processes."""
        assert self._trained is not None, "setup('fit') comes first"
        imitations, recordings, targets = self._trained
        sampler = PairBatchSampler(
            targets,
            len(recordings),
            batch_size=self.batch_size,
            grouped=self.grouped,
            redraw=self.redraw,
            seed=self.seed,
            **process_of(self.trainer),
        )
        return batch_loader(PairFeatures(imitations, recordings), sampler, self.workers)
