"""Clips, what batches hold of them, and how batches reach a model, of each process its part."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Generic, Literal, NamedTuple, TypeVar

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from vocalsketch.datasets.labelled import LabelledClip
from vocalsketch.datasets.records import Imitation, OnBadAudio, Sound, named
from vocalsketch.domain import SIDES, Indices, Side
from vocalsketch.errors import DatasetError, refuse_below
from vocalsketch.features.front_end import FrontEnd
from vocalsketch.features.store import FeatureStore, FeatureTable

Part = Literal["train", "validation", "test"]
Record = TypeVar("Record", Sound, Imitation, LabelledClip)

PATIENCE = 120  # seconds; what cannot be sent, as shared memory is full, is never sent


class ClipBatch(NamedTuple):
    """Clips of one side to embed."""

    side: Side  # imitation or recording
    rows: Tensor  # (clips,), which clips of the evaluated half these are
    features: Tensor  # (clips, bins, frames)


class PairBatch(NamedTuple):
    """Pairs to train on; each distinct clip is there once."""

    imitations: Tensor  # (distinct imitations, bins, frames)
    recordings: Tensor  # (distinct recordings, bins, frames)
    imitation_index: Tensor  # (pairs,), the row of each pair's imitation
    recording_index: Tensor  # (pairs,), the row of each pair's recording
    labels: Tensor  # (pairs,) float32, 1 for a positive pair


class LabelledBatch(NamedTuple):
    """Clips and what they are."""

    features: Tensor  # (clips, bins, frames)
    labels: Tensor  # (clips,), indices of classes


@dataclass(frozen=True, eq=False)
class Clips(Generic[Record]):
    """Records whose spectrograms are read by row as they are needed."""

    table: FeatureTable  # where the spectrograms are
    records: tuple[Record, ...]  # of which clips, one per row

    def __len__(self) -> int:
        return len(self.records)

    @property
    def skipped(self) -> tuple[str, ...]:
        """Names of files that were asked for and cannot be used."""
        return tuple(sorted(map(str, self.table.bad)))

    def read(self, rows: Indices) -> Tensor:
        """Return (rows, bins, frames) float32."""
        return torch.from_numpy(self.table.stack([self.records[row].path for row in rows]))


def clip_batch(clips: Mapping[Side, Clips[Any]], named: tuple[Side, Indices]) -> ClipBatch:
    """Read the clips of one side that are named by row."""
    side, rows = named
    return ClipBatch(side, torch.from_numpy(rows), clips[side].read(rows))


def row_batches(
    rows: int,
    batch_size: int,
    order_seed: int | None = None,
    *,
    epoch: int = 0,
    rank: int = 0,
    processes: int = 1,
) -> list[Indices]:
    """Return the rows of each batch of one process.

    ``order_seed`` draws each epoch's order, whose first rows are repeated where rows do not divide
    among the processes; None keeps the order and gives every row to one process exactly once, as
    an evaluation needs it.
    """
    refuse_below(1, batch_size=batch_size)
    order = np.arange(rows)
    if order_seed is not None:
        order = np.random.default_rng([order_seed, epoch]).permutation(rows)
        order = np.resize(order, -(-rows // processes) * processes)
    mine = order[rank::processes]
    return [mine[start : start + batch_size] for start in range(0, len(mine), batch_size)]


def side_batches(counts: Sequence[int], **options: int) -> list[tuple[Side, Indices]]:
    """Return (side, rows) of each batch, every clip once over all processes, imitations first.

    ``counts`` are of clips of each side, ``options`` as of ``row_batches``.
    """
    return [
        (side, rows)
        for side, count in zip(SIDES, counts, strict=True)
        for rows in row_batches(count, **options)
    ]


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


def pair_batches(
    targets: Indices,
    recordings: int,
    *,
    batch_size: int,
    grouped: bool,
    redraw: bool,
    seed: int,
    epoch: int = 0,
    **process: int,
) -> list[Pairs]:
    """Return the pairs of each batch; ``targets`` as of ``draw_pairs``, process of ``row_batches``.

    The other arguments are those of ``PairsDataModule``.
    """
    drawn = np.random.default_rng([seed, epoch if redraw else 0, 0])
    pairs = draw_pairs(targets, recordings, drawn)
    size = 2 if grouped else 1
    batches = row_batches(
        len(pairs.label) // size, batch_size // size, seed, epoch=epoch, **process
    )
    return [pairs.take((size * rows[:, None] + np.arange(size)).reshape(-1)) for rows in batches]


def pair_batch(imitations: Clips[Imitation], recordings: Clips[Sound], pairs: Pairs) -> PairBatch:
    """Read each distinct clip of the pairs once."""
    imitation_rows, imitation_index = np.unique(pairs.imitation, return_inverse=True)
    recording_rows, recording_index = np.unique(pairs.recording, return_inverse=True)
    return PairBatch(
        imitations.read(imitation_rows),
        recordings.read(recording_rows),
        *map(torch.from_numpy, (imitation_index, recording_index, pairs.label)),
    )


class EpochSampler(DistributedSampler[Any]):
    """Names what each batch of this process is of, as a function draws it of the epoch.

    A DistributedSampler, since the Trainer leaves one in place and tells it the epoch.
    """

    def __init__(self, draw: Callable[..., Sequence[Any]]) -> None:
        super().__init__(range(0), 1, 0)  # type: ignore[arg-type]  # of nothing of its own
        self.draw = lru_cache(maxsize=1)(draw)  # a loader's length is asked for again and again

    def __len__(self) -> int:
        return len(self.draw(epoch=self.epoch))

    def __iter__(self) -> Iterator[Any]:
        yield from self.draw(epoch=self.epoch)  # at the first batch: only then the epoch is told


@dataclass
class _Made(Dataset[Any]):
    """Makes each batch out of what a sampler names."""

    make: Callable[[Any], Any]

    def __getitem__(self, named: Any) -> Any:
        return self.make(named)


class ClipDataModule(pl.LightningDataModule):
    """Clips whose features are found or made once, and read as batches need them.

    Only what a stage needs is read: a subclass opens it in ``setup``.

    Args:
        seed: Draws splits, pairs and order; the run's seed if left out.
        on_bad_audio: ``error`` names every unusable file and stops; ``skip`` goes on without,
            ``use`` with what is there of those that are cut short.
        jobs: Threads that compute features; all cores if left out.
        ray: The address of a Ray cluster that computes features and synthesises imitations
            instead; empty for the one begun on this machine. It has to see the cache folder.
        workers: Processes that read batches; 0 reads in the training process, which is enough.
    """

    def __init__(
        self,
        seed: int | None = None,
        on_bad_audio: OnBadAudio = "error",
        jobs: int | None = None,
        ray: str | None = None,
        workers: int = 0,
    ) -> None:
        super().__init__()
        refuse_below(0, workers=workers)
        self.seed = int(os.environ.get("PL_GLOBAL_SEED", "0")) if seed is None else seed
        self.on_bad_audio: OnBadAudio = on_bad_audio
        self.jobs = jobs
        self.ray = ray
        self.workers = workers
        self.store = FeatureStore()

    def prepare_data(self) -> None:
        """Compute the features that the coming stage needs, on one process."""
        self.setup(self.trainer.state.fn if self.trainer else "fit")  # type: ignore[arg-type]  # set by then

    def open(self, front_end: FrontEnd, records: Sequence[Record]) -> Clips[Record]:
        """Return those clips that can be used; their features are found or made.

        Raises:
            AudioError: A file cannot be used and ``on_bad_audio`` is ``error``.
        """
        options: dict[str, Any] = {"jobs": self.jobs, "ray": self.ray}
        paths = [record.path for record in records]
        table = self.store.fill(paths, front_end, on_bad_audio=self.on_bad_audio, **options)
        if table.cut:
            names = named([str(path) for path in table.cut])
            print(f"{len(table.cut)} files are cut short or damaged, and used: {names}")
        return Clips(table, tuple(record for record in records if record.path in table))

    @property
    def process(self) -> dict[str, int]:
        """Which process this is, by ``rank``, and of how many ``processes``."""
        if self.trainer is None:
            return {"rank": 0, "processes": 1}
        return {"rank": self.trainer.global_rank, "processes": self.trainer.world_size}

    def loader(
        self, make: Callable[[Any], Any], draw: Callable[..., Sequence[Any]]
    ) -> DataLoader[Any]:
        """Return a loader of what ``make`` returns of each batch that ``draw`` names.

        ``draw`` is given ``epoch``, ``rank`` and ``processes``.
        """
        return DataLoader(
            _Made(make),
            sampler=EpochSampler(partial(draw, **self.process)),
            batch_size=None,
            num_workers=self.workers,
            pin_memory=torch.cuda.is_available(),
            persistent_workers=self.workers > 0,
            timeout=PATIENCE if self.workers else 0,
            # one of its own, lest the number of loaders begun decides which units are dropped out
            generator=torch.Generator(),
        )
