"""How batches reach a model: samplers name whole batches, each process is given its own part."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler, Sampler

from vocalsketch.datasets.labelled import LabelledClip
from vocalsketch.datasets.records import Imitation, OnBadAudio, Sound, named
from vocalsketch.domain import SIDES, Indices, Side
from vocalsketch.errors import refuse_below
from vocalsketch.features.front_end import FrontEnd
from vocalsketch.features.store import FeatureStore, FeatureTable

if TYPE_CHECKING:
    import pytorch_lightning as pl

Part = Literal["train", "validation", "test"]
Record = TypeVar("Record", Sound, Imitation, LabelledClip)
Batch_co = TypeVar("Batch_co", covariant=True)

PATIENCE = 120  # seconds; what cannot be sent, as shared memory is full, is never sent


class PairBatch(NamedTuple):
    """Pairs to train on; each distinct clip is there once."""

    imitations: Tensor  # (distinct imitations, bins, frames)
    recordings: Tensor  # (distinct recordings, bins, frames)
    imitation_index: Tensor  # (pairs,), the row of each pair's imitation
    recording_index: Tensor  # (pairs,), the row of each pair's recording
    labels: Tensor  # (pairs,) float32, 1 for a positive pair


class ClipBatch(NamedTuple):
    """Clips of one side to embed."""

    side: Side  # imitation or recording
    rows: Tensor  # (clips,), which clips of the evaluated half these are
    features: Tensor  # (clips, bins, frames)


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

    def take(self, rows: Iterable[int]) -> "Clips[Record]":
        """Return the clips of the given rows, unread."""
        return Clips(self.table, tuple(self.records[row] for row in rows))


@dataclass(frozen=True)
class Reading:
    """How clips are read, whatever they are for.

    Args:
        seed: Draws splits, pairs and order; the run's seed if left out.
        on_bad_audio: ``error`` names every unusable file and stops; ``skip`` goes on without,
            ``use`` with what is there of those that are cut short.
        jobs: Threads that compute features; all cores if left out.
        ray: The address of a Ray cluster that computes features and synthesises imitations
            instead; empty for the one begun on this machine. It has to see the cache folder.
        workers: Processes that read batches; 0 reads in the training process, which is enough.

    Raises:
        ConfigError: There are less than no workers.
    """

    seed: int | None = None
    on_bad_audio: OnBadAudio = "error"
    jobs: int | None = None
    ray: str | None = None
    workers: int = 0

    def __post_init__(self) -> None:
        refuse_below(0, workers=self.workers)

    def open(
        self, store: FeatureStore, front_end: FrontEnd, records: Sequence[Record]
    ) -> Clips[Record]:
        """Return those clips that can be used; their features are found or made.

        Raises:
            AudioError: A file cannot be used and ``on_bad_audio`` is ``error``.
        """
        paths = [record.path for record in records]
        bad = self.on_bad_audio
        table = store.fill(paths, front_end, jobs=self.jobs, ray=self.ray, on_bad_audio=bad)
        if table.cut:
            names = named([str(path) for path in table.cut])
            print(f"{len(table.cut)} files are cut short or damaged, and used: {names}")
        return Clips(table, tuple(record for record in records if record.path in table))

    @property
    def drawn_from(self) -> int:
        """The seed, or the run's."""
        return int(os.environ.get("PL_GLOBAL_SEED", "0")) if self.seed is None else self.seed


class RowBatchSampler(DistributedSampler[Batch_co]):
    """Names the rows of each batch of this process; a subclass may yield what they stand for.

    A DistributedSampler, since the Trainer leaves one in place and tells it the epoch; which rows
    a process is given, and in what order, is decided here. ``order_seed`` draws each epoch's order,
    whose first rows are repeated where rows do not divide among the processes; None keeps the order
    and gives every row to one process exactly once, as an evaluation needs it.
    """

    def __init__(
        self,
        rows: int,
        *,
        batch_size: int,
        order_seed: int | None = None,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        refuse_below(1, batch_size=batch_size)
        super().__init__(range(rows), processes, rank)  # type: ignore[arg-type]  # as many rows
        self.rows = rows
        self.batch_size = batch_size
        self.order_seed = order_seed

    def __len__(self) -> int:
        return -(-len(self._mine()) // self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        mine = self._mine()
        for start in range(0, len(mine), self.batch_size):
            yield mine[start : start + self.batch_size]

    def _mine(self) -> Indices:
        if self.order_seed is None:
            return np.arange(self.rows)[self.rank :: self.num_replicas]
        order = np.random.default_rng([self.order_seed, self.epoch]).permutation(self.rows)
        each = -(-self.rows // self.num_replicas)
        return np.resize(order, each * self.num_replicas)[self.rank :: self.num_replicas]


class ClipSampler(RowBatchSampler[tuple[Side, Indices]]):
    """Yields (side, rows) of each batch, every clip once over all processes, imitations first."""

    def __init__(self, imitations: int, recordings: int, **options: int) -> None:
        super().__init__(imitations + recordings, **options)
        self.batches = [
            (side, rows)
            for side, count in zip(SIDES, (imitations, recordings), strict=True)
            for rows in RowBatchSampler[Indices](count, **options)
        ]

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[tuple[Side, Indices]]:
        return iter(self.batches)


@dataclass
class _Made(Dataset[Any]):
    """Makes each batch out of what a sampler names."""

    make: Callable[[Any], Any]

    def __getitem__(self, named: Any) -> Any:
        return self.make(named)


def clip_batch(clips: Mapping[Side, Clips[Any]], named: tuple[Side, Indices]) -> ClipBatch:
    """Read the clips of one side that are named by row."""
    side, rows = named
    return ClipBatch(side, torch.from_numpy(rows), clips[side].read(rows))


def process_of(trainer: "pl.Trainer | None") -> dict[str, int]:
    """Return which process this is, and of how many."""
    if trainer is None:
        return {"rank": 0, "processes": 1}
    return {"rank": trainer.global_rank, "processes": trainer.world_size}


def batch_loader(
    make: Callable[[Any], Any], sampler: Sampler[Any], workers: int
) -> DataLoader[Any]:
    """Return a loader of the batches that ``make`` returns of each that the sampler names."""
    return DataLoader(
        _Made(make),
        sampler=sampler,
        batch_size=None,
        num_workers=workers,
        pin_memory=torch.cuda.is_available(),
        persistent_workers=workers > 0,
        timeout=PATIENCE if workers else 0,
        # one of its own, lest the number of loaders begun decides which units are dropped out
        generator=torch.Generator(),
    )
