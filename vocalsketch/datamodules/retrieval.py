"""Data that every retrieval system shares: a corpus, its split and the half that is ranked."""

from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, Literal, NamedTuple, TypeVar

import numpy as np
import pytorch_lightning as pl
from torch import Tensor
from torch.utils.data import DataLoader

from vocalsketch.datamodules.batches import ClipBatch, ClipFeatures, Clips, ClipSampler
from vocalsketch.datamodules.evaluation import EvaluationSet
from vocalsketch.datamodules.loading import Reading, batch_loader, process_of
from vocalsketch.datamodules.pairing import draw_pairs
from vocalsketch.datasets.manifest import Split
from vocalsketch.datasets.open import open_corpora
from vocalsketch.datasets.records import Corpus, Imitation, Sound
from vocalsketch.datasets.splits import make_split
from vocalsketch.domain import Half, Indices, Side
from vocalsketch.features.cqt import CQT
from vocalsketch.features.front_end import FrontEnd
from vocalsketch.features.store import FeatureStore

Record = TypeVar("Record", Sound, Imitation)
Part = Literal["train", "validation", "test"]


class Readable(NamedTuple, Generic[Record]):
    """Records that can be used, their features, and the names of files that cannot."""

    records: tuple[Record, ...]
    clips: Clips
    skipped: tuple[str, ...]


class RetrievalDataModule(pl.LightningDataModule):
    """A corpus in two halves; evaluates validation imitations or the test half.

    Only what a stage needs is read, and once: ``fit`` and ``validate`` open no file of the test
    half.

    Args:
        root: ``demo``, or a corpus in any layout that holds imitations (docs/corpora.md).
        imitation_front_end: Turns imitations into spectrograms; IMINET's CQT if left out.
        recording_front_end: Likewise for recordings.
        split: ``paper``, ``random``, ``fold K/N``, ``qbv_coarse K``, or a manifest; with
            a ``test_root`` ``qvim``, ``qbv_fine`` or ``corpora``.
        evaluation_batch_size: Clips embedded at once when evaluating.
        test_root: A second corpus, which only tests.
        second_set: Whether to add the second set of VocalSketch 1.1.
        reading: As ``Reading``.
    """

    def __init__(
        self,
        root: str = "demo",
        imitation_front_end: FrontEnd | None = None,
        recording_front_end: FrontEnd | None = None,
        split: str = "paper",
        evaluation_batch_size: int = 128,
        test_root: str | None = None,
        second_set: bool = False,
        **reading: Any,
    ) -> None:
        super().__init__()
        self.root = root
        self.test_root = test_root
        self.second_set = second_set
        self.front_ends: dict[Side, FrontEnd] = {
            # a front end as default would lend its parameters to another class named in a config
            "imitation": imitation_front_end or CQT(),
            "recording": recording_front_end or CQT(),
        }
        self.split_spec = split
        self.evaluation_batch_size = evaluation_batch_size
        self.reading = Reading(**reading)
        self.seed = self.reading.drawn_from
        self.store = FeatureStore()
        self._read: dict[tuple[Side, Part], Readable[Any]] = {}
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
        return open_corpora(
            self.root,
            self.test_root,
            on_bad_audio=self.reading.on_bad_audio,
            second_set=self.second_set,
        )

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
        stage = self.trainer.state.fn if self.trainer else "fit"
        half = _half_of(stage)
        self.sounds(half, progress=True)
        self.imitations(half, progress=True)
        if stage == "fit":
            self.imitations("train", progress=True)

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

    def imitations_of(self, part: Part) -> tuple[Imitation, ...]:
        """Return the imitations that train, validate or test."""
        ids = set(getattr(self.split, f"{part}_imitations"))
        return tuple(each for each in self.corpus.imitations if each.id in ids)

    def sounds(self, half: Half, *, progress: bool = False) -> Readable[Sound]:
        """Return the candidates of a half that can be used; their features are found or made once.

        Raises:
            AudioError: A file cannot be used and ``on_bad_audio`` is ``error``.
        """
        if ("recording", half) not in self._read:
            self._read["recording", half] = self._readable(
                "recording", self.sounds_of(half), progress
            )
        return self._read["recording", half]

    def imitations(self, part: Part, *, progress: bool = False) -> Readable[Imitation]:
        """Return the imitations of a part that can be used; likewise."""
        if ("imitation", part) not in self._read:
            self._read["imitation", part] = self._readable(
                "imitation", self.imitations_of(part), progress
            )
        return self._read["imitation", part]

    def _readable(self, side: Side, records: Sequence[Record], progress: bool) -> Readable[Record]:
        table = self.store.fill(
            [record.path for record in records],
            self.front_ends[side],
            jobs=self.reading.jobs,
            on_bad_audio=self.reading.on_bad_audio,
            progress=progress,
        )
        kept = tuple(record for record in records if record.path in table)
        clips = Clips(table, [record.path for record in kept])
        return Readable(kept, clips, tuple(sorted(str(source) for source in table.bad)))

    def with_targets(self, part: Part) -> tuple[tuple[Imitation, ...], Clips, Indices]:
        """Return the imitations of a part whose sounds can be used too.

        Returns:
            The records, their features, and (imitations,) rows of their targets among the sounds
            of the half.
        """
        read = self.imitations(part)
        row = {each.id: n for n, each in enumerate(self.sounds(_half_of(part)).records)}
        rows = np.array([n for n, each in enumerate(read.records) if each.sound_id in row], int)
        kept = tuple(read.records[n] for n in rows)
        targets = np.array([row[each.sound_id] for each in kept], dtype=np.int64)
        return kept, read.clips.take(rows), targets

    def _evaluation(self, half: Half) -> "_Evaluated":
        sounds, recordings, bad_sounds = self.sounds(half)
        imitations, queries, targets = self.with_targets(half)
        bad_imitations = self.imitations(half).skipped
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
        return batch_loader(clips, sampler, self.reading.workers)

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


def _half_of(stage: str | None) -> Half:
    return "test" if stage in ("test", "predict") else "validation"
