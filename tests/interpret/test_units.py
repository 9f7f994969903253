"""Units: which are chosen, and how much of a channel counts."""

from dataclasses import replace

import pytest
import torch

from vocalsketch.errors import ConfigError
from vocalsketch.interpret.layers import Layer


def layer(response, positions=None) -> Layer:
    return Layer("conv1", "imitation", response.shape[1], positions, (), lambda clips: response)


RESPONSE = torch.arange(2 * 2 * 3 * 4, dtype=torch.float32).view(2, 2, 3, 4)
CHANNELS = layer(RESPONSE, (3, 4))
CLIPS = (torch.zeros(2, 5, 5),)


def test_units_are_drawn_without_repeats_and_again_with_the_seed():
    wide = layer(torch.zeros(1, 48))
    units = wide.chosen_units(4, seed=1)
    assert len(set(units)) == 4
    assert units == wide.chosen_units(4, seed=1) != wide.chosen_units(4, seed=2)
    assert wide.chosen_units(48, seed=0) == tuple(range(48))


@pytest.mark.parametrize("count", [0, -1, 3])
def test_more_units_than_there_are_or_none_are_refused(count):
    with pytest.raises(ConfigError, match="conv1 has 2: ask for 1 to 2"):
        CHANNELS.chosen_units(count, seed=0)


@pytest.mark.parametrize("unit", [-1, 2])
def test_a_unit_out_of_range_is_refused(unit):
    assert CHANNELS.chosen_units(4, 0, [1, 0]) == (1, 0)
    with pytest.raises(ConfigError, match=f"no unit {unit} in conv1: its units are 0 to 1"):
        CHANNELS.chosen_units(4, 0, [0, unit])


def test_a_unit_that_is_asked_for_twice_is_shown_once():
    assert CHANNELS.chosen_units(4, 0, (1, 0, 1)) == (1, 0)


def test_a_channel_counts_by_its_mean_or_by_one_position():
    assert CHANNELS.activations(CLIPS).tolist() == [[5.5, 17.5], [29.5, 41.5]]
    assert replace(CHANNELS, position=(0, 3)).activations(CLIPS).tolist() == [
        [3.0, 15.0],
        [27.0, 39.0],
    ]
    assert replace(CHANNELS, position="centre").activations(CLIPS).tolist() == [
        [6.0, 18.0],
        [30.0, 42.0],
    ]


def test_a_fully_connected_unit_has_no_position():
    dense = layer(torch.tensor([[1.0, 2.0]]))
    assert replace(dense, position=(7, 7)).activations(CLIPS).tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize("position", [(3, 0), (0, 4), (-1, 0)])
def test_a_position_out_of_range_is_refused(position):
    with pytest.raises(ConfigError, match="its channels are 3 x 4"):
        replace(CHANNELS, position=position)


def test_each_row_answers_for_its_own_unit():
    assert CHANNELS.activation(torch.tensor([1, 0]), CLIPS).tolist() == [17.5, 29.5]


def test_many_clips_are_measured_as_one_block_would_be():
    mean = Layer("fc1", "imitation", 1, None, (), lambda clips: clips.mean(dim=(1, 2))[:, None])
    clips = torch.randn(70, 2, 2)
    torch.testing.assert_close(mean.activations((clips,)), clips.mean(dim=(1, 2))[:, None])
