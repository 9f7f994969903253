"""Batches of imitations for a system that learns without labels."""

import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vocalsketch.datamodules.imitations import ImitationsDataModule, ShuffledClips
from vocalsketch.errors import ConfigError


def rows(sampler):
    return np.concatenate([rows for _, rows in sampler])


@given(st.integers(1, 60), st.integers(1, 20), st.integers(0, 3))
def test_every_clip_is_there_once_in_each_epoch(clips, batch_size, epoch):
    sampler = ShuffledClips(clips, batch_size=batch_size, seed=5)
    sampler.set_epoch(epoch)
    batches = list(sampler)
    assert len(batches) == len(sampler)
    assert {side for side, _ in batches} == {"imitation"}
    assert sorted(rows(sampler)) == list(range(clips))


def test_the_order_depends_on_seed_and_epoch_alone():
    def order(seed, epoch):
        sampler = ShuffledClips(30, batch_size=4, seed=seed)
        sampler.set_epoch(epoch)
        return rows(sampler).tolist()

    assert order(1, 2) == order(1, 2)
    assert order(1, 2) != order(1, 3)
    assert order(1, 2) != order(2, 2)


def test_processes_share_the_clips_evenly_and_leave_none_out():
    parts = [
        rows(ShuffledClips(10, batch_size=2, seed=0, rank=rank, processes=3)) for rank in range(3)
    ]
    assert [len(part) for part in parts] == [4, 4, 4]
    assert set(np.concatenate(parts)) == set(range(10))


def test_a_batch_without_clips_is_refused():
    with pytest.raises(ConfigError, match="batch_size is 0"):
        ShuffledClips(10, batch_size=0, seed=0)


def test_it_trains_on_the_training_imitations_and_opens_nothing_of_the_test_half(
    folder_corpus, tmp_path
):
    root = shutil.copytree(folder_corpus, tmp_path / "corpus")
    for path in (*root.glob("sounds/*/*[23].wav"), *root.glob("imitations/*[23]/*.wav")):
        path.write_bytes(b"not audio")
    data = ImitationsDataModule(str(root), batch_size=3, seed=0, jobs=1)
    data.prepare_data()
    data.setup("fit")
    batches = list(data.train_dataloader())
    # two development sounds in each of two categories; two of their three imitations train
    assert [len(batch.features) for batch in batches] == [3, 3, 2]
    assert batches[0].side == "imitation"
    assert batches[0].features.shape[1:] == (72, 129)
    ids = [data.imitations_of("train")[row].id for batch in batches for row in batch.rows]
    assert sorted(ids) == sorted(data.split.train_imitations)
