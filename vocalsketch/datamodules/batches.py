"""What a model is given: pairs over distinct clips to train on, clips alone to evaluate."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, DistributedSampler

from vocalsketch.datamodules.loading import RowBatchSampler
from vocalsketch.datamodules.pairing import Pairs
from vocalsketch.domain import SIDES, Indices, Side
from vocalsketch.features.store import FeatureTable


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


class Clips:
    """Spectrograms that are read by row as they are needed.

    Args:
        table: Where the spectrograms are.
        sources: Which of them, one per row.
    """

    def __init__(self, table: FeatureTable, sources: Sequence[Path]) -> None:
        self.table = table
        self.sources = list(sources)

    def __len__(self) -> int:
        """How many clips there are."""
        return len(self.sources)

    def read(self, rows: Indices) -> Tensor:
        """Return (rows, bins, frames) float32."""
        return torch.from_numpy(self.table.stack([self.sources[row] for row in rows]))

    def take(self, rows: Indices) -> "Clips":
        """Return the clips of the given rows, unread."""
        return Clips(self.table, [self.sources[row] for row in rows])


class PairFeatures(Dataset[PairBatch]):
    """Turns the pairs of a batch into spectrograms; indexed by ``Pairs``."""

    def __init__(self, imitations: Clips, recordings: Clips) -> None:
        self.imitations = imitations
        self.recordings = recordings

    def __getitem__(self, pairs: Pairs) -> PairBatch:
        """Read each distinct clip of the pairs once."""
        imitations, imitation_index = np.unique(pairs.imitation, return_inverse=True)
        recordings, recording_index = np.unique(pairs.recording, return_inverse=True)
        return PairBatch(
            self.imitations.read(imitations),
            self.recordings.read(recordings),
            torch.from_numpy(imitation_index),
            torch.from_numpy(recording_index),
            torch.from_numpy(pairs.label),
        )


class ClipSampler(DistributedSampler[tuple[Side, Indices]]):
    """Yields (side, rows) of each batch, every clip once over all processes, imitations first.

    Args:
        imitations: How many imitations there are.
        recordings: How many recordings there are.
        batch_size: Clips in a batch.
        rank: Which process this is.
        processes: How many processes share the clips.
    """

    def __init__(
        self,
        imitations: int,
        recordings: int,
        *,
        batch_size: int,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        clips = range(imitations + recordings)
        super().__init__(clips, processes, rank, shuffle=False)  # type: ignore[arg-type]  # as many
        self.batches = [
            (side, rows)
            for side, count in zip(SIDES, (imitations, recordings), strict=True)
            for rows in RowBatchSampler[Indices](
                count, batch_size=batch_size, rank=rank, processes=processes
            )
        ]

    def __len__(self) -> int:
        """Batches of this process."""
        return len(self.batches)

    def __iter__(self) -> Iterator[tuple[Side, Indices]]:
        """Yield this process's batches."""
        return iter(self.batches)


class ClipFeatures(Dataset[ClipBatch]):
    """Turns (side, rows) into spectrograms."""

    def __init__(self, imitations: Clips, recordings: Clips) -> None:
        self.clips: dict[Side, Clips] = {"imitation": imitations, "recording": recordings}

    def __getitem__(self, batch: tuple[Side, Indices]) -> ClipBatch:
        """Read the clips of a batch."""
        side, rows = batch
        return ClipBatch(side, torch.from_numpy(rows), self.clips[side].read(rows))
