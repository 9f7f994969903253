"""Pairs: who is paired with whom, in what batches, on which process."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vocalsketch.datamodules import PairsDataModule
from vocalsketch.datamodules.batches import Pairs, draw_pairs, pair_batches
from vocalsketch.errors import ConfigError, DatasetError

TARGETS = np.repeat(np.arange(5), 3)  # three imitations of each of five sounds


def batches(**changes: object) -> list[Pairs]:
    options = {"batch_size": 8, "grouped": True, "redraw": False, "seed": 0, **changes}
    return pair_batches(TARGETS, 5, **options)


def as_set(batches: list) -> list[tuple[int, int, float]]:
    return sorted(
        (int(a), int(b), float(c))
        for batch in batches
        for a, b, c in zip(batch.imitation, batch.recording, batch.label, strict=True)
    )


@given(
    targets=st.lists(st.integers(0, 6), min_size=1, max_size=30),
    seed=st.integers(0, 2**32),
)
def test_every_imitation_has_its_target_and_one_other_sound(targets: list[int], seed: int) -> None:
    wanted = np.array(targets)
    pairs = draw_pairs(wanted, 7, np.random.default_rng(seed))
    positive, negative = pairs.label == 1, pairs.label == 0
    assert positive.sum() == negative.sum() == len(targets)
    assert (pairs.recording[positive] == wanted[pairs.imitation[positive]]).all()
    # another imitation of the same sound is no negative: its target is never drawn
    assert (pairs.recording[negative] != wanted[pairs.imitation[negative]]).all()
    assert ((pairs.recording >= 0) & (pairs.recording < 7)).all()


def test_negatives_are_drawn_over_all_other_sounds_alike() -> None:
    pairs = draw_pairs(np.full(60_000, 2), 4, np.random.default_rng(0))
    drawn = np.bincount(pairs.recording[pairs.label == 0], minlength=4)
    assert drawn[2] == 0
    np.testing.assert_allclose(drawn[[0, 1, 3]], 20_000, rtol=0.03)


def test_grouped_batches_keep_both_pairs_of_an_imitation_together() -> None:
    for batch in batches():
        imitations, counts = np.unique(batch.imitation, return_counts=True)
        assert (counts == 2).all()
        assert len(imitations) <= 4


@pytest.mark.parametrize("grouped", [True, False])
@pytest.mark.parametrize("processes", [1, 2])
def test_an_epoch_holds_every_pair(grouped: bool, processes: int) -> None:
    parts = [batches(grouped=grouped, processes=processes, rank=n) for n in range(processes)]
    everything = as_set([draw_pairs(TARGETS, 5, np.random.default_rng([0, 0, 0]))])
    seen = as_set([batch for part in parts for batch in part])
    assert set(seen) == set(everything)
    assert len({len(part) for part in parts}) == 1, "each process has as many batches"
    assert len(seen) - len(everything) < 2 * processes, "few pairs are repeated to even out"


def test_order_depends_on_seed_and_epoch_alone() -> None:
    first, again, later, other = batches(), batches(), batches(epoch=1), batches(seed=1)
    order = [batch.imitation.tolist() for batch in first]
    assert order == [batch.imitation.tolist() for batch in again]
    assert order != [batch.imitation.tolist() for batch in later]
    assert order != [batch.imitation.tolist() for batch in other]


@pytest.mark.parametrize(("redraw", "same"), [(False, True), (True, False)])
def test_negatives_are_redrawn_each_epoch_only_when_asked(redraw: bool, same: bool) -> None:
    before, after = (as_set(batches(redraw=redraw, epoch=epoch)) for epoch in (0, 1))
    assert (before == after) == same


@pytest.mark.parametrize(
    ("action", "error", "message"),
    [
        (lambda: draw_pairs(TARGETS, 1, np.random.default_rng(0)), DatasetError, "at least 2"),
        (lambda: PairsDataModule(batch_size=7), ConfigError, "batch_size is 7"),
        (lambda: PairsDataModule(batch_size=1, grouped=False), ConfigError, "batch_size is 1"),
    ],
)
def test_impossible_pairs_are_refused(action: object, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        action()
