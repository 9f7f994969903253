"""How batches reach a model: samplers name whole batches, each process is given its own part."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, DistributedSampler, Sampler

from vocalsketch.domain import Indices
from vocalsketch.errors import ConfigError

if TYPE_CHECKING:
    import pytorch_lightning as pl

Batch_co = TypeVar("Batch_co", covariant=True)

PATIENCE = 120  # seconds; what cannot be sent, as shared memory is full, is never sent


class RowBatchSampler(DistributedSampler[Batch_co]):
    """Names the rows of each batch of this process; a subclass may yield what they stand for.

    It is a DistributedSampler only in that each process is given its own part and that the
    Trainer, seeing one, leaves it in place and tells it the epoch.

    Args:
        rows: How many rows there are.
        batch_size: Rows in a batch of one process.
        order_seed: Seed of each epoch's order; None keeps the order and gives every row to one
            process exactly once, as an evaluation needs it. In training the first rows of an
            order are repeated where rows do not divide among the processes.
        rank: Which process this is.
        processes: How many processes share the rows.

    Raises:
        ConfigError: ``batch_size`` is not positive.
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
        if batch_size < 1:
            raise ConfigError(f"batch_size is {batch_size}: it must be at least 1.")
        self.rows = rows
        self.batch_size = batch_size
        self.order_seed = order_seed
        self.rank = rank
        self.processes = processes
        self.epoch = 0

    def __len__(self) -> int:
        """Batches of this process in an epoch."""
        return -(-len(self._mine()) // self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        """Yield each batch of this process."""
        return self.row_batches()

    def row_batches(self) -> Iterator[Indices]:
        """Yield the rows of each of this process's batches."""
        mine = self._mine()
        for start in range(0, len(mine), self.batch_size):
            yield mine[start : start + self.batch_size]

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of the coming epoch."""
        self.epoch = epoch

    def _mine(self) -> Indices:
        if self.order_seed is None:
            return np.arange(self.rows)[self.rank :: self.processes]
        order = np.random.default_rng([self.order_seed, self.epoch]).permutation(self.rows)
        each = -(-self.rows // self.processes)
        return np.resize(order, each * self.processes)[self.rank :: self.processes]


def process_of(trainer: "pl.Trainer | None") -> dict[str, int]:
    """Return which process this is, and of how many."""
    if trainer is None:
        return {"rank": 0, "processes": 1}
    return {"rank": trainer.global_rank, "processes": trainer.world_size}


def batch_loader(dataset: Dataset[Any], sampler: Sampler[Any], workers: int) -> DataLoader[Any]:
    """Return a loader whose sampler names whole batches."""
    return DataLoader(
        dataset,
        sampler=sampler,
        batch_size=None,
        num_workers=workers,
        pin_memory=torch.cuda.is_available(),
        persistent_workers=workers > 0,
        timeout=PATIENCE if workers else 0,
        # one of its own, lest the number of loaders begun decides which units are dropped out
        generator=torch.Generator(),
    )
