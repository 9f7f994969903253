"""Positive and negative pairs, and the batches they are trained in."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vocalsketch.datamodules.loading import RowBatchSampler
from vocalsketch.domain import Indices
from vocalsketch.errors import ConfigError, DatasetError


class Pairs(NamedTuple):
    """Pairs of an imitation and a recording, by row.

    Attributes:
        imitation: (pairs,), rows of imitations.
        recording: (pairs,), rows of recordings.
        label: (pairs,) float32, 1 where the recording is what was imitated, else 0.
    """

    imitation: Indices
    recording: Indices
    label: NDArray[np.float32]

    def take(self, rows: Indices) -> "Pairs":
        """Return the pairs of the given rows."""
        return Pairs(self.imitation[rows], self.recording[rows], self.label[rows])


def draw_pairs(targets: Indices, recordings: int, generator: np.random.Generator) -> Pairs:
    """Pair each imitation with its target, and with one other recording drawn at random.

    Source: paper, sections IV-D and VI-A (as many negative pairs as positive ones).

    Args:
        targets: (imitations,), the row of each imitation's target among the recordings.
        recordings: How many recordings there are, over all categories.
        generator: Where the negatives come from.

    Returns:
        Two pairs an imitation: rows 2i and 2i + 1 are imitation i's positive and negative pair.

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


def check_batch_size(batch_size: int, grouped: bool) -> None:
    """Check that a batch can hold pairs.

    Raises:
        ConfigError: It is too small, or odd where pairs stay together.
    """
    if batch_size < 2 or (grouped and batch_size % 2):
        raise ConfigError(
            f"batch_size is {batch_size}: give an even number of pairs, 2 or more "
            "(or grouped: false for an odd one)."
        )


class PairBatchSampler(RowBatchSampler[Pairs]):
    """Yields the pairs of each batch; the same for the same seed, epoch and number of processes.

    Args:
        targets: (imitations,), the row of each imitation's target among the recordings.
        recordings: How many recordings there are.
        batch_size: Pairs in a batch of one process.
        grouped: Keep an imitation's positive and negative pair in one batch, which so passes
            fewer distinct clips through the towers; else pairs are drawn independently.
        redraw: Draw new negatives each epoch; else once.
        seed: Seed of pairs and order.
        rank: Which process this is.
        processes: How many processes share an epoch.
    """

    def __init__(
        self,
        targets: Indices,
        recordings: int,
        *,
        batch_size: int,
        grouped: bool,
        redraw: bool,
        seed: int,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        check_batch_size(batch_size, grouped)
        self.pairs_per_row = 2 if grouped else 1
        super().__init__(
            2 * len(targets) // self.pairs_per_row,
            batch_size=batch_size // self.pairs_per_row,
            order_seed=seed,
            rank=rank,
            processes=processes,
        )
        self.targets = targets
        self.recordings = recordings
        self.redraw = redraw
        self.seed = seed

    def pairs(self) -> Pairs:
        """Return all pairs of the epoch, over all processes."""
        drawn_in = self.epoch if self.redraw else 0
        generator = np.random.default_rng([self.seed, drawn_in, 0])
        return draw_pairs(self.targets, self.recordings, generator)

    def __iter__(self) -> Iterator[Pairs]:
        """Yield the pairs of each of this process's batches."""
        pairs = self.pairs()
        for rows in self.row_batches():
            wanted = rows[:, None] * self.pairs_per_row + np.arange(self.pairs_per_row)
            yield pairs.take(wanted.reshape(-1))
