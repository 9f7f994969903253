"""Attribution: contributions by hand, and their sum."""

import re

import numpy as np
import pytest
import torch
from small_networks import Pixels, siamese

from vocalsketch.domain import SIDES
from vocalsketch.errors import ConfigError
from vocalsketch.interpret.explanation import attribute, explain, in_words
from vocalsketch.models.tower import ConvStage, TowerGeometry
from vocalsketch.systems import load_system
from vocalsketch.systems.ensemble import Ensemble
from vocalsketch.systems.siamese import SiameseGeometry


def test_contributions_add_up_to_the_logit_less_that_of_silence(network):
    generator = torch.Generator().manual_seed(0)
    for name, values in network.named_parameters():
        if name.endswith("bias"):  # without biases the logit would be linear along the way
            values.data = torch.randn(values.shape, generator=generator)
    imitation, recording = torch.randn(2, 12, 20, generator=generator)
    coarse = attribute(network, {"imitation": imitation, "recording": recording}, steps=2)
    found = attribute(network, {"imitation": imitation, "recording": recording})
    index = torch.zeros(1, dtype=torch.long)
    logit = float(network(imitation[None], recording[None], index, index).detach())
    total = float(found.contributions["imitation"].sum() + found.contributions["recording"].sum())
    assert found.score == pytest.approx(logit, abs=1e-5)
    assert in_words(found.score, found.kind) == f"likelihood {1 / (1 + 2.718281828**-logit):.3f}"
    assert abs(found.gap) < 0.01 * abs(found.score - found.silence) < abs(coarse.gap)
    assert total + found.gap == pytest.approx(found.score - found.silence, abs=1e-5)


def test_of_a_linear_network_contributions_are_weight_times_value():
    """One pixel of each side reaches the logit, times 2 and times -3; biases keep ReLUs open."""
    tower = TowerGeometry([ConvStage(1, (2, 2))])
    network = siamese(
        SiameseGeometry((2, 2), (2, 2), tower, tower, hidden=(1,), dropout=0.0), Pixels(2, 2)
    )
    for side, weight in (("imitation", 2.0), ("recording", -3.0)):
        conv = getattr(network, f"{side}_tower").stages[0].conv
        conv.weight.data.zero_()
        conv.weight.data[0, 0, 0, 1] = weight
        conv.bias.data.fill_(100.0)
        getattr(network.head, f"{side}_share").weight.data.fill_(1.0)
    network.head.recording_share.bias.data.fill_(1000.0)
    network.head.rest[-1].weight.data.fill_(1.0)
    found = attribute(
        network.eval(),
        {"imitation": torch.full((2, 2), 5.0), "recording": torch.full((2, 2), 7.0)},
    )
    expected = torch.tensor([[0.0, 1.0], [0.0, 0.0]])
    torch.testing.assert_close(found.contributions["imitation"], 10.0 * expected)
    torch.testing.assert_close(found.contributions["recording"], -21.0 * expected)
    assert found.silence == pytest.approx(1200.0)
    assert found.score == pytest.approx(1189.0)


def test_weights_gather_no_gradients(network):
    attribute(network, {side: torch.randn(12, 20) for side in SIDES})
    assert all(parameter.grad is None for parameter in network.parameters())


def test_contours_are_explained_from_silence_by_their_distance():
    contours = load_system("contours")
    features = {side: contours.front_ends[side](torch.randn(1, 160_000))[0] for side in SIDES}
    found = attribute(contours, features)
    embedded = [contours.embed(side, features[side][None]) for side in SIDES]
    score = float(contours.score(*embedded))
    assert found.score == pytest.approx(score)
    total = sum(float(part.sum()) for part in found.contributions.values())
    assert total == pytest.approx(score - found.silence, rel=1e-3)


def test_what_cannot_be_traced_back_is_refused(network):
    both = Ensemble([network, load_system("contours")])
    features = {side: both.front_ends[side](torch.randn(1, both.front_ends[side].samples))[0]
                for side in SIDES}  # fmt: skip
    with pytest.raises(ConfigError, match="cannot be traced back"):
        attribute(both, features)


def test_one_page_explains_several_systems_and_each_member_of_an_ensemble(network):
    network.provenance["corpus"] = "demo"
    both = Ensemble([network, load_system("contours")])
    wave = np.random.default_rng(0).normal(size=(2, 44_100)).astype(np.float32)
    clips = {"imitation": (wave[0], 44_100), "recording": (wave[1], 22_050)}
    html = explain(
        [("a tower", network), ("an ensemble", both)], clips, {side: f"my {side}" for side in SIDES}
    )
    headings = ["a tower used", "an ensemble used: part 1 of 2", "an ensemble used: part 2 of 2"]
    assert re.findall(r"<h2>What (.*)</h2>", html) == headings
    alone, as_part = re.findall(r"Likelihood (\d\.\d{3})", html)
    assert float(alone) == pytest.approx(float(as_part), abs=2e-3)
    assert "trained on corpus=demo" in html
    assert not re.search(r'(src|href)="(?!data:)', html)
