"""Which rows each process is given."""

from collections import Counter
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vocalsketch.datamodules.batches import EpochSampler, row_batches
from vocalsketch.errors import ConfigError

COUNTS = {
    "rows": st.integers(1, 40),
    "batch_size": st.integers(1, 9),
    "processes": st.integers(1, 4),
}


@given(**COUNTS)
def test_evaluation_gives_every_row_to_one_process_once(
    rows: int, batch_size: int, processes: int
) -> None:
    given_out = [
        row
        for rank in range(processes)
        for batch in row_batches(rows, batch_size, rank=rank, processes=processes)
        for row in batch.tolist()
    ]
    assert sorted(given_out) == list(range(rows))


@given(epoch=st.integers(0, 5), **COUNTS)
def test_training_gives_processes_equally_many_rows_and_leaves_none_out(
    rows: int, batch_size: int, processes: int, epoch: int
) -> None:
    parts = []
    for rank in range(processes):
        drawn = row_batches(rows, batch_size, 3, epoch=epoch, rank=rank, processes=processes)
        batches = [batch.tolist() for batch in drawn]
        assert all(len(batch) == batch_size for batch in batches[:-1])
        parts.append([row for batch in batches for row in batch])
    assert len({len(part) for part in parts}) == 1
    counts = Counter(row for part in parts for row in part)
    assert set(counts) == set(range(rows))
    repeated = sum(counts.values()) - rows
    assert repeated == -rows % processes


def test_the_order_is_of_the_seed_and_the_epoch() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        sampler = EpochSampler(partial(row_batches, 50, 50, seed))
        sampler.set_epoch(epoch)
        assert len(sampler) == 1
        return next(iter(sampler)).tolist()

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(1, 1)
    assert order(1, 0) != order(2, 0)


def test_a_batch_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="batch_size is 0: give 1 or more"):
        row_batches(5, batch_size=0)
