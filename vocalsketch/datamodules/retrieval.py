"""Data that every retrieval system shares: a corpus, its split and the half that is ranked."""

import os
from abc import abstractmethod
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
import pytorch_lightning as pl
from torch import Tensor
from torch.utils.data import DataLoader

from vocalsketch.datamodules.batches import ClipBatch, ClipFeatures, Clips, ClipSampler
from vocalsketch.datamodules.evaluation import EvaluationSet
from vocalsketch.datamodules.loading import batch_loader, process_of
from vocalsketch.datamodules.pairing import draw_pairs
from vocalsketch.datasets.open import open_corpus
from vocalsketch.datasets.records import Corpus, Imitation, OnBadAudio, Sound
from vocalsketch.datasets.splits import Split, make_split
from vocalsketch.domain import Half, Indices, Side
from vocalsketch.features.front_end import FrontEnd
from vocalsketch.features.store import FeatureStore

Record = TypeVar("Record", Sound, Imitation)


class RetrievalDataModule(pl.LightningDataModule):
    """A corpus in two halves; evaluates validation imitations or the test half.

    Only what a stage needs is read: ``fit`` and ``validate`` never open a file of the test half.

    Args:
        root: ``demo``, a VocalSketch tree, a folder with sounds/ and imitations/, or a CSV of
            (imitation, sound, category).
        imitation_front_end: Turns imitations into spectrograms.
        recording_front_end: Turns recordings into spectrograms.
        split: ``paper``, ``random``, ``fold K/N``, or the path of a manifest.
        seed: Draws pairs and random splits; the run's seed if left out.
        evaluation_batch_size: Clips embedded at once when evaluating.
        on_bad_audio: ``error`` names every unusable file and stops; ``skip`` goes on without.
        jobs: Processes that compute features; all cores if left out.
        workers: Processes that read batches; 0 reads in the training process, which is enough.
    """

    def __init__(
        self,
        root: str,
        imitation_front_end: FrontEnd,
        recording_front_end: FrontEnd,
        split: str = "paper",
        seed: int | None = None,
        evaluation_batch_size: int = 128,
        on_bad_audio: OnBadAudio = "error",
        jobs: int | None = None,
        workers: int = 0,
    ) -> None:
        super().__init__()
        self.root = root
        self.front_ends: dict[Side, FrontEnd] = {
            "imitation": imitation_front_end,
            "recording": recording_front_end,
        }
        self.split_spec = split
        self.seed = int(os.environ.get("PL_GLOBAL_SEED", "0")) if seed is None else seed
        self.evaluation_batch_size = evaluation_batch_size
        self.on_bad_audio = on_bad_audio
        self.jobs = jobs
        self.workers = workers
        self.store = FeatureStore()
        self._evaluated: dict[Half, _Evaluated] = {}

    @property
    def imitation_front_end(self) -> FrontEnd:
        """The front end of imitations."""
        return self.front_ends["imitation"]

    @property
    def recording_front_end(self) -> FrontEnd:
        """The front end of recordings."""
        return self.front_ends["recording"]

    @property
    def imitation_shape(self) -> tuple[int, int]:
        """(bins, frames) of an imitation's spectrogram."""
        return self.front_ends["imitation"].shape

    @property
    def recording_shape(self) -> tuple[int, int]:
        """(bins, frames) of a recording's spectrogram."""
        return self.front_ends["recording"].shape

    @cached_property
    def corpus(self) -> Corpus:
        """The corpus, read from its tables; no audio is opened."""
        return open_corpus(self.root, on_bad_audio=self.on_bad_audio)

    @cached_property
    def split(self) -> Split:
        """Which sounds and imitations train, validate and test."""
        return make_split(self.corpus, self.split_spec, self.seed)

    def provenance(self) -> dict[str, Any]:
        """Return what a checkpoint should know of its data, as plain values."""
        return {
            "corpus": self.corpus.name,
            "split_name": self.split.name,
            "split": self.split.fingerprint,
        }

    def prepare_data(self) -> None:
        """Compute the features of the half that the coming stage needs, on one process."""
        half = _half_of(self.trainer.state.fn if self.trainer else "fit")
        self.readable(self.sounds_of(half), "recording", progress=True)
        self.readable(self.imitations_of(half), "imitation", progress=True)

    def setup(self, stage: str) -> None:
        """Open the features of the half that the stage needs."""
        half = _half_of(stage)
        if half not in self._evaluated:
            self._evaluated[half] = self._evaluation(half)

    def evaluation_set(self, stage: str | None) -> EvaluationSet:
        """Return who asks for what among which candidates in a stage (``fit``, ``test``, ...)."""
        return self._evaluated[_half_of(stage)].queries_and_candidates

    @abstractmethod
    def train_dataloader(self) -> DataLoader[Any]:
        """Return the batches to train on."""

    def val_dataloader(self) -> DataLoader[ClipBatch]:
        """Return the clips of the validation half, each once."""
        return self._clip_loader("validation")

    def test_dataloader(self) -> DataLoader[ClipBatch]:
        """Return the clips of the test half, each once."""
        return self._clip_loader("test")

    predict_dataloader = test_dataloader

    def sounds_of(self, half: Half) -> tuple[Sound, ...]:
        """Return the candidates of a half."""
        split = self.split
        ids = set(split.development_sounds if half == "validation" else split.test_sounds)
        return tuple(sound for sound in self.corpus.sounds if sound.id in ids)

    def imitations_of(self, part: Literal["train", "validation", "test"]) -> tuple[Imitation, ...]:
        """Return the imitations that train, validate or test."""
        ids = set(getattr(self.split, f"{part}_imitations"))
        return tuple(each for each in self.corpus.imitations if each.id in ids)

    def readable(
        self, records: tuple[Record, ...], side: Side, *, progress: bool = False
    ) -> tuple[tuple[Record, ...], Clips, tuple[str, ...]]:
        """Return the records that can be used, their spectrograms, and the names of the others.

        Raises:
            AudioError: A file cannot be used and ``on_bad_audio`` is ``error``.
        """
        table = self.store.fill(
            [record.path for record in records],
            self.front_ends[side],
            jobs=self.jobs,
            on_bad_audio=self.on_bad_audio,
            progress=progress,
        )
        kept = tuple(record for record in records if record.path in table)
        clips = Clips(table, [record.path for record in kept])
        return kept, clips, tuple(sorted(str(source) for source in table.bad))

    def _evaluation(self, half: Half) -> "_Evaluated":
        sounds, recordings, bad_sounds = self.readable(self.sounds_of(half), "recording")
        asked = self.imitations_of(half)
        kept = {sound.id for sound in sounds}
        asked = tuple(each for each in asked if each.sound_id in kept)
        imitations, queries, bad_imitations = self.readable(asked, "imitation")
        targets = rows_of_targets(imitations, sounds)
        missing = tuple(name for names in self.corpus.missing.values() for name in names)
        evaluated = EvaluationSet(
            half=half,
            corpus=self.corpus.name,
            split_name=self.split.name,
            split=self.split.fingerprint,
            imitations=imitations,
            sounds=sounds,
            targets=targets,
            pairs=draw_pairs(targets, len(sounds), np.random.default_rng([self.seed, 2])),
            skipped=(*missing, *bad_sounds, *bad_imitations),
        )
        return _Evaluated(evaluated, queries, recordings)

    def _clip_loader(self, half: Half) -> DataLoader[ClipBatch]:
        evaluated = self._evaluated[half]
        sampler = ClipSampler(
            len(evaluated.imitations),
            len(evaluated.recordings),
            batch_size=self.evaluation_batch_size,
            **process_of(self.trainer),
        )
        clips = ClipFeatures(evaluated.imitations, evaluated.recordings)
        return batch_loader(clips, sampler, self.workers)

    def test_clip(self, side: Side, identity: str) -> tuple[Path, Tensor]:
        """Return the file and the spectrogram (bins, frames) of a clip of the test half."""
        evaluated = self._evaluated["test"]
        known = evaluated.queries_and_candidates
        records: tuple[Sound | Imitation, ...] = known.sounds
        if side == "imitation":
            records = known.imitations
        clips = evaluated.imitations if side == "imitation" else evaluated.recordings
        row = next(index for index, record in enumerate(records) if record.id == identity)
        return records[row].path, clips.read(np.array([row]))[0]


class _Evaluated(NamedTuple):
    queries_and_candidates: EvaluationSet
    imitations: Clips
    recordings: Clips


def rows_of_targets(imitations: tuple[Imitation, ...], sounds: tuple[Sound, ...]) -> Indices:
    """Return the row of each imitation's target among the sounds, (imitations,)."""
    row = {sound.id: index for index, sound in enumerate(sounds)}
    return np.array([row[each.sound_id] for each in imitations], dtype=np.int64)


def _half_of(stage: str | None) -> Half:
    return "test" if stage in ("test", "predict") else "validation"
