"""Regularisation, by hand."""

import torch

from vocalsketch.interpret.ascent import jittered, total_variation

PATTERN = torch.tensor([[[0.0, 1.0, 1.0], [2.0, 1.0, 0.0]]])


def test_total_variation_adds_the_mean_steps_along_both_axes():
    # in frequency 2, 0, 1: mean 1; in time 1, 0, 1, 1: mean 0.75
    torch.testing.assert_close(total_variation(PATTERN), torch.tensor([1.75]))
    assert float(total_variation(torch.full((1, 3, 4), 5.0))) == 0.0


def test_jitter_moves_around_the_edges_within_its_reach():
    point = torch.zeros(1, 9, 9)
    point[0, 0, 0] = 1.0
    generator = torch.Generator().manual_seed(0)
    places = set()
    for _ in range(200):
        moved = jittered(point, 1, generator)[0]
        assert float(moved.sum()) == 1.0
        places.add(tuple(moved.nonzero()[0].tolist()))
    assert places == {(bin_, frame) for bin_ in (8, 0, 1) for frame in (8, 0, 1)}


def test_without_jitter_nothing_moves_and_nothing_is_drawn():
    generator = torch.Generator().manual_seed(0)
    state = generator.get_state()
    assert jittered(PATTERN, 0, generator) is PATTERN
    assert torch.equal(generator.get_state(), state)
