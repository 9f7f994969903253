"""Attribution: contributions by hand, and their sum."""

import pytest
import torch
from small_networks import siamese

from vocalsketch.interpret.attribution import attribute
from vocalsketch.models import ConvStage, TowerGeometry
from vocalsketch.systems.siamese import SiameseGeometry


def test_contributions_add_up_to_the_logit_less_that_of_silence(network):
    generator = torch.Generator().manual_seed(0)
    for name, values in network.named_parameters():
        if name.endswith("bias"):  # without biases the logit would be linear along the way
            values.data = torch.randn(values.shape, generator=generator)
    imitation, recording = torch.randn(2, 12, 20, generator=generator)
    coarse = attribute(network, imitation, recording, steps=2)
    found = attribute(network, imitation, recording)
    index = torch.zeros(1, dtype=torch.long)
    logit = float(network(imitation[None], recording[None], index, index).detach())
    total = float(found.imitation.sum() + found.recording.sum())
    assert found.logit == pytest.approx(logit, abs=1e-5)
    assert found.probability == pytest.approx(1 / (1 + 2.718281828**-logit), abs=1e-5)
    assert abs(found.gap) < 0.01 * abs(found.logit - found.silence) < abs(coarse.gap)
    assert total + found.gap == pytest.approx(found.logit - found.silence, abs=1e-5)


def test_of_a_linear_network_contributions_are_weight_times_value():
    """One pixel of each side reaches the logit, times 2 and times -3; biases keep ReLUs open."""
    tower = TowerGeometry([ConvStage(1, (2, 2))])
    network = siamese(SiameseGeometry((2, 2), (2, 2), tower, tower, hidden=(1,), dropout=0.0))
    for side, weight in (("imitation", 2.0), ("recording", -3.0)):
        conv = getattr(network, f"{side}_tower").stages[0].conv
        conv.weight.data.zero_()
        conv.weight.data[0, 0, 0, 1] = weight
        conv.bias.data.fill_(100.0)
        getattr(network.head, f"{side}_share").weight.data.fill_(1.0)
    network.head.recording_share.bias.data.fill_(1000.0)
    network.head.rest[-1].weight.data.fill_(1.0)
    found = attribute(network.eval(), torch.full((2, 2), 5.0), torch.full((2, 2), 7.0))
    expected = torch.tensor([[0.0, 1.0], [0.0, 0.0]])
    torch.testing.assert_close(found.imitation, 10.0 * expected)
    torch.testing.assert_close(found.recording, -21.0 * expected)
    assert found.silence == pytest.approx(1200.0)
    assert found.logit == pytest.approx(1189.0)


def test_weights_gather_no_gradients(network):
    attribute(network, torch.randn(12, 20), torch.randn(12, 20))
    assert all(parameter.grad is None for parameter in network.parameters())
