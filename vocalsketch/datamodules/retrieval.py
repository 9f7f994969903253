"""Data that every retrieval system shares: a corpus, its split and the half that is ranked."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytorch_lightning as pl
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from vocalsketch.datamodules.batches import (
    ClipBatch,
    Clips,
    ClipSampler,
    Part,
    Reading,
    Record,
    batch_loader,
    clip_batch,
    process_of,
)
from vocalsketch.datasets.open import open_corpora
from vocalsketch.datasets.records import Corpus, Imitation, Sound
from vocalsketch.datasets.splits import Split, make_split
from vocalsketch.domain import Half, Indices, Side
from vocalsketch.errors import DatasetError
from vocalsketch.features.cqt import CQT
from vocalsketch.features.front_end import FrontEnd
from vocalsketch.features.store import FeatureStore


class Pairs(NamedTuple):
    """Pairs of an imitation and a recording, by row."""

    imitation: Indices  # (pairs,), rows of imitations
    recording: Indices  # (pairs,), rows of recordings
    label: NDArray[np.float32]  # (pairs,), 1 where the recording is what was imitated, else 0

    def take(self, rows: Indices) -> "Pairs":
        """Return the pairs of the given rows."""
        return Pairs(self.imitation[rows], self.recording[rows], self.label[rows])


def draw_pairs(targets: Indices, recordings: int, generator: np.random.Generator) -> Pairs:
    """Pair each imitation with its target, and with one other recording drawn at random.

    Source: paper, sections IV-D and VI-A (as many negative pairs as positive ones). Of ``targets``,
    (imitations,) rows of recordings, rows 2i and 2i + 1 of the pairs are the positive and the
    negative one of imitation i.

    Raises:
        DatasetError: There is no other recording to draw.
    """
    if recordings < 2:
        raise DatasetError(
            f"Negative pairs need at least 2 recordings to draw from, found {recordings}."
        )
    others = generator.integers(0, recordings - 1, size=len(targets))
    negatives = others + (others >= targets)
    return Pairs(
        np.repeat(np.arange(len(targets)), 2),
        np.stack([targets, negatives], axis=1).reshape(-1),
        np.tile(np.array([1.0, 0.0], dtype=np.float32), len(targets)),
    )


@dataclass(frozen=True, eq=False)
class EvaluationSet:
    """Queries and candidates of the validation or the test half."""

    half: Half  # validation (validation imitations among the development sounds) or test
    split: Split  # how the corpus is divided
    imitations: Clips[Imitation]  # the queries
    sounds: Clips[Sound]  # the candidates
    targets: Indices  # (queries,), the row of each query's target among the candidates
    pairs: Pairs  # pairs on which the loss is measured
    skipped: tuple[str, ...]  # files left out of the corpus because they could not be used

    @property
    def clips(self) -> dict[Side, Clips[Any]]:
        """The clips of each side."""
        return {"imitation": self.imitations, "recording": self.sounds}

    def categories(self) -> Iterator[tuple[str, Indices, Indices]]:
        """Yield each category's name, rows of its queries and rows of its candidates."""
        of_sounds = np.array([sound.category for sound in self.sounds.records])
        of_queries = of_sounds[self.targets]
        for category in sorted(set(of_queries)):
            queries, candidates = of_queries == category, of_sounds == category
            yield str(category), np.flatnonzero(queries), np.flatnonzero(candidates)


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
        # a front end as default would lend its parameters to another class named in a config
        self.imitation_front_end = imitation_front_end or CQT()
        self.recording_front_end = recording_front_end or CQT()
        self.imitation_shape = self.imitation_front_end.shape  # (bins, frames)
        self.recording_shape = self.recording_front_end.shape
        self.split_spec = split
        self.evaluation_batch_size = evaluation_batch_size
        self.reading = Reading(**reading)
        self.seed = self.reading.drawn_from
        self.store = FeatureStore()
        self._read: dict[tuple[Side, Part], Clips[Any]] = {}
        self._evaluated: dict[Half, EvaluationSet] = {}

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
        self.clips("recording", _half_of(stage))
        self.clips("imitation", _half_of(stage))
        if stage == "fit":
            self.clips("imitation", "train")

    def setup(self, stage: str) -> None:
        """Open the features of the half that the stage needs."""
        self.evaluation_set(stage)

    def evaluation_set(self, stage: str | None) -> EvaluationSet:
        """Return who asks for what among which candidates in a stage (``fit``, ``test``, ...)."""
        half = _half_of(stage)
        if half not in self._evaluated:
            sounds = self.clips("recording", half)
            imitations, targets = self.with_targets(half)
            missing = tuple(name for names in self.corpus.missing.values() for name in names)
            self._evaluated[half] = EvaluationSet(
                half=half,
                split=self.split,
                imitations=imitations,
                sounds=sounds,
                targets=targets,
                pairs=draw_pairs(targets, len(sounds), np.random.default_rng([self.seed, 2])),
                skipped=(*missing, *sounds.skipped, *imitations.skipped),
            )
        return self._evaluated[half]

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

    def records(self, side: Side, part: Part) -> tuple[Any, ...]:
        """Return a part's imitations, or the sounds of its half; no audio is opened."""
        if side == "imitation":
            ids = set(getattr(self.split, f"{part}_imitations"))
            return tuple(each for each in self.corpus.imitations if each.id in ids)
        ids = set(self.split.test_sounds if part == "test" else self.split.development_sounds)
        return tuple(each for each in self.corpus.sounds if each.id in ids)

    def clips(self, side: Side, part: Part) -> Clips[Any]:
        """Return those of the records that can be used; their features are found or made once.

        Raises:
            AudioError: A file cannot be used and ``on_bad_audio`` is ``error``.
        """
        key = (side, part if side == "imitation" else _half_of(part))
        if key not in self._read:
            self._read[key] = self.readable(side, self.records(side, part))
        return self._read[key]

    def readable(self, side: Side, records: Sequence[Record]) -> Clips[Record]:
        """Return which of some records can be used, with their features; likewise."""
        front_ends = {"imitation": self.imitation_front_end, "recording": self.recording_front_end}
        return self.reading.open(self.store, front_ends[side], records)

    def with_targets(self, part: Part) -> tuple[Clips[Imitation], Indices]:
        """Return the imitations of a part whose sounds can be used too, and (imitations,) rows.

        These are of their targets among the sounds of the half.
        """
        read = self.clips("imitation", part)
        row = {each.id: n for n, each in enumerate(self.clips("recording", part).records)}
        kept = read.take(n for n, each in enumerate(read.records) if each.sound_id in row)
        return kept, np.array([row[each.sound_id] for each in kept.records], dtype=np.int64)

    def _clip_loader(self, half: Half) -> DataLoader[ClipBatch]:
        evaluated = self.evaluation_set(half)
        sampler = ClipSampler(
            len(evaluated.imitations),
            len(evaluated.sounds),
            batch_size=self.evaluation_batch_size,
            **process_of(self.trainer),
        )
        return batch_loader(partial(clip_batch, evaluated.clips), sampler, self.reading.workers)

    def test_clip(self, side: Side, identity: str) -> tuple[Path, Tensor]:
        """Return the file and the spectrogram (bins, frames) of a clip of the test half."""
        clips = self.evaluation_set("test").clips[side]
        row = next(row for row, record in enumerate(clips.records) if record.id == identity)
        return clips.records[row].path, clips.read(np.array([row]))[0]


def _half_of(stage: str | None) -> Half:
    return "test" if stage in ("test", "predict") else "validation"
