"""What a contrastive batch is of: distinct sounds, each with its own imitations."""

import numpy as np
import pytest

from vocalsketch.datamodules.contrastive import contrastive_batches

IMITATIONS_OF = [np.arange(3 * sound, 3 * sound + 3) for sound in range(10)]
REAL, MADE = np.arange(6), np.arange(6, 10)


def drawn(epoch: int = 0, rank: int = 0, processes: int = 1, each: int = 2, seed: int = 0) -> list:
    batches = contrastive_batches(
        [(REAL, 2 // processes), (MADE, 2 // processes)],
        IMITATIONS_OF,
        each=each,
        steps=5,
        seed=seed,
        epoch=epoch,
        rank=rank,
        processes=processes,
    )
    assert len(batches) == 5
    return batches


def test_each_part_has_its_share_and_all_sounds_come_before_one_comes_again() -> None:
    batches = drawn()
    assert all(set(batch.sounds[:2]) <= set(REAL) for batch in batches)
    assert all(set(batch.sounds[2:]) <= set(MADE) for batch in batches)
    assert all(len(set(batch.sounds)) == 4 for batch in batches)
    real = np.concatenate([batch.sounds[:2] for batch in batches])
    assert set(real[:6]) == set(REAL)
    assert len(set(real[6:10])) == 4


@pytest.mark.parametrize(("each", "different"), [(2, 2), (5, 3)])
def test_a_sound_comes_with_imitations_of_its_own(each: int, different: int) -> None:
    for batch in drawn(each=each):
        for sound, rows in zip(batch.sounds, batch.imitations.reshape(4, each), strict=True):
            assert set(rows) <= set(IMITATIONS_OF[sound])
            assert len(set(rows)) == different  # those of a sound with fewer come again


def test_processes_share_the_batches_of_one() -> None:
    alone, first, second = drawn(), drawn(processes=2), drawn(rank=1, processes=2)
    for whole, *halves in zip(alone, first, second, strict=True):
        assert set(whole.sounds) == set(np.concatenate([each.sounds for each in halves]))


def test_the_draw_depends_on_seed_and_epoch_alone() -> None:
    def told(**of: int) -> list:
        return [(*batch.sounds, *batch.imitations) for batch in drawn(**of)]

    assert told(epoch=3) == told(epoch=3)
    assert told(epoch=3) != told(epoch=2) != told(epoch=2, seed=1)
