"""Batches: each distinct clip once, every clip evaluated once."""

import numpy as np
import torch

from vocalsketch.datamodules.batches import Pairs, clip_batch, pair_batch, side_batches
from vocalsketch.domain import Indices


class Numbered:
    """Clips whose every value is their row."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def read(self, rows: Indices) -> torch.Tensor:
        return torch.from_numpy(rows).float()[:, None, None].expand(-1, 2, 3)


def test_a_batch_holds_each_distinct_clip_once_and_gathers_the_pairs() -> None:
    pairs = Pairs(np.array([4, 4, 1]), np.array([2, 0, 2]), np.array([1, 0, 1], dtype=np.float32))
    batch = pair_batch(Numbered(5), Numbered(3), pairs)
    assert len(batch.imitations) == 2
    assert len(batch.recordings) == 2
    assert batch.imitations[batch.imitation_index][:, 0, 0].tolist() == [4, 4, 1]
    assert batch.recordings[batch.recording_index][:, 0, 0].tolist() == [2, 0, 2]
    assert batch.labels.tolist() == [1, 0, 1]


def test_every_clip_is_evaluated_once_over_all_processes() -> None:
    clips = {"imitation": Numbered(7), "recording": Numbered(4)}
    seen = {"imitation": [], "recording": []}
    for rank in range(3):
        for item in side_batches([7, 4], batch_size=2, rank=rank, processes=3):
            batch = clip_batch(clips, item)
            assert batch.features[:, 0, 0].tolist() == batch.rows.tolist()
            seen[batch.side] += batch.rows.tolist()
    assert sorted(seen["imitation"]) == list(range(7))
    assert sorted(seen["recording"]) == list(range(4))
