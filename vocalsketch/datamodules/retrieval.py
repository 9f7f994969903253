"""Data of retrieval systems: a corpus, its split, the half that is ranked, and what trains."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.data import DataLoader

from vocalsketch.datamodules.batches import (
    ClipBatch,
    ClipDataModule,
    Clips,
    PairBatch,
    Pairs,
    Part,
    clip_batch,
    draw_pairs,
    pair_batch,
    pair_batches,
    row_batches,
    side_batches,
)
from vocalsketch.datasets.open import open_corpora
from vocalsketch.datasets.records import Corpus, Imitation
from vocalsketch.datasets.splits import Split, make_split
from vocalsketch.domain import SIDES, Half, Indices, Side
from vocalsketch.errors import ConfigError
from vocalsketch.features.cqt import CQT
from vocalsketch.features.front_end import FrontEnd


@dataclass(frozen=True, eq=False)
class EvaluationSet:
    """Queries and candidates of the validation or the test half."""

    half: Half  # validation (validation imitations among the development sounds) or test
    split: Split  # how the corpus is divided
    clips: dict[Side, Clips[Any]]  # imitations, the queries, and recordings, the candidates
    targets: Indices  # (queries,), the row of each query's target among the candidates
    pairs: Pairs  # pairs on which the loss is measured
    skipped: tuple[str, ...]  # files left out of the corpus because they could not be used

    def categories(self) -> Iterator[tuple[str, Indices, Indices]]:
        """Yield each category's name, rows of its queries and rows of its candidates."""
        of_sounds = np.array([sound.category for sound in self.clips["recording"].records])
        of_queries = of_sounds[self.targets]
        for category in sorted(set(of_queries)):
            queries, candidates = of_queries == category, of_sounds == category
            yield str(category), np.flatnonzero(queries), np.flatnonzero(candidates)


class RetrievalDataModule(ClipDataModule):
    """A corpus in two halves; evaluates validation imitations or the test half.

    ``fit`` and ``validate`` open no file of the test half. A subclass says what trains.

    Args:
        root: ``demo``, or a corpus in any layout that holds imitations (docs/corpora.md).
        imitation_front_end: Turns imitations into spectrograms; IMINET's CQT if left out.
        recording_front_end: Likewise for recordings.
        split: ``paper``, ``random``, ``fold K/N``, ``qbv_coarse K``, or a manifest; with
            a ``test_root`` ``qvim``, ``qbv_fine`` or ``corpora``.
        evaluation_batch_size: Clips embedded at once when evaluating.
        test_root: A second corpus, which only tests.
        second_set: Whether to add the second set of VocalSketch 1.1.
        reading: As ``ClipDataModule``.
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
        super().__init__(**reading)
        self.root = root
        self.test_root = test_root
        self.second_set = second_set
        # a front end as default would lend its parameters to another class named in a config
        self.imitation_front_end = imitation_front_end or CQT()
        self.recording_front_end = recording_front_end or CQT()
        ends = self.imitation_front_end, self.recording_front_end
        self.front_ends = dict(zip(SIDES, ends, strict=True))
        self.split_spec = split
        self.evaluation_batch_size = evaluation_batch_size
        self._read: dict[tuple[Side, Part], Clips[Any]] = {}
        self._evaluated: dict[Half, EvaluationSet] = {}

    @cached_property
    def corpus(self) -> Corpus:
        """The corpus, read from its tables; no audio is opened."""
        options: dict[str, Any] = {"on_bad_audio": self.on_bad_audio}
        return open_corpora(self.root, self.test_root, second_set=self.second_set, **options)

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

    def setup(self, stage: str) -> None:
        """Open the features that the stage needs."""
        self.evaluation_set(stage)
        if stage == "fit":
            self.clips("imitation", "train")

    def evaluation_set(self, stage: str | None) -> EvaluationSet:
        """Return who asks for what among which candidates in a stage (``fit``, ``test``, ...)."""
        half = _half_of(stage)
        if half not in self._evaluated:
            sounds = self.clips("recording", half)
            imitations, targets = self.with_targets(half)
            missing = tuple(name for names in self.corpus.missing.values() for name in names)
            self._evaluated[half] = EvaluationSet(
                half,
                self.split,
                {"imitation": imitations, "recording": sounds},
                targets,
                draw_pairs(targets, len(sounds), np.random.default_rng([self.seed, 2])),
                skipped=(*missing, *sounds.skipped, *imitations.skipped),
            )
        return self._evaluated[half]

    def val_dataloader(self) -> DataLoader[ClipBatch]:
        """Return the clips of the validation half, each once."""
        return self._evaluation_loader("validation")

    def test_dataloader(self) -> DataLoader[ClipBatch]:
        """Return the clips of the test half, each once."""
        return self._evaluation_loader("test")

    predict_dataloader = test_dataloader

    def _evaluation_loader(self, half: Half) -> DataLoader[ClipBatch]:
        clips = self.evaluation_set(half).clips
        counts = [len(clips[side]) for side in SIDES]
        draw = partial(side_batches, counts, batch_size=self.evaluation_batch_size)
        return self.loader(partial(clip_batch, clips), draw)

    def records(self, side: Side, part: Part) -> tuple[Any, ...]:
        """Return a part's imitations, or the sounds of its half; no audio is opened."""
        if side == "imitation":
            ids = set(getattr(self.split, f"{part}_imitations"))
            return tuple(each for each in self.corpus.imitations if each.id in ids)
        ids = set(self.split.test_sounds if part == "test" else self.split.development_sounds)
        return tuple(each for each in self.corpus.sounds if each.id in ids)

    def clips(self, side: Side, part: Part) -> Clips[Any]:
        """Return those of the records that can be used; their features are found or made once."""
        key = (side, part if side == "imitation" else _half_of(part))
        if key not in self._read:
            self._read[key] = self.open(self.front_ends[side], self.records(side, part))
        return self._read[key]

    def with_targets(self, part: Part) -> tuple[Clips[Imitation], Indices]:
        """Return the imitations of a part whose sounds can be used too, and (imitations,) rows.

        These are of their targets among the sounds of the half.
        """
        read = self.clips("imitation", part)
        row = {each.id: n for n, each in enumerate(self.clips("recording", part).records)}
        kept = tuple(each for each in read.records if each.sound_id in row)
        targets = np.array([row[each.sound_id] for each in kept], dtype=np.int64)
        return Clips(read.table, kept), targets

    def test_clip(self, side: Side, identity: str) -> tuple[Path, Tensor]:
        """Return the file and the spectrogram (bins, frames) of a clip of the test half."""
        clips = self.evaluation_set("test").clips[side]
        row = next(row for row, record in enumerate(clips.records) if record.id == identity)
        return clips.records[row].path, clips.read(np.array([row]))[0]


def _half_of(stage: str | None) -> Half:
    return "test" if stage in ("test", "predict") else "validation"


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
        self.how: dict[str, Any] = {"grouped": grouped, "redraw": redraw, "seed": self.seed}

    def train_dataloader(self) -> DataLoader[PairBatch]:
        """Return batches of pairs; the same for the same seed and number of processes."""
        recordings = self.clips("recording", "train")
        imitations, targets = self.with_targets("train")
        draw = partial(
            pair_batches, targets, len(recordings), batch_size=self.batch_size, **self.how
        )
        return self.loader(partial(pair_batch, imitations, recordings), draw)


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

        def draw(**process: int) -> list[tuple[Side, Indices]]:
            batches = row_batches(len(trained), self.batch_size, self.seed, **process)
            return [("imitation", rows) for rows in batches]

        return self.loader(partial(clip_batch, {"imitation": trained}), draw)
