"""Layers: their names and sizes, what they respond, and leaky copies that leave no trace."""

import copy
from dataclasses import replace

import pytest
import torch
from small_networks import Pixels, siamese
from torch import nn
from torch.nn import functional

from vocalsketch.domain import SIDES
from vocalsketch.errors import ConfigError
from vocalsketch.interpret.layers import layers_of, with_leaky_units
from vocalsketch.interpret.subject import PretrainedTower, Subject, selected_layers
from vocalsketch.models.tower import Classifier, ConvStage, TowerGeometry
from vocalsketch.systems import System
from vocalsketch.systems.baselines import Imisound
from vocalsketch.systems.siamese import SiameseGeometry


def listed(layers) -> list[tuple]:
    return [(layer.part, layer.name, layer.units, layer.positions) for layer in layers]


def test_each_tower_and_the_head_are_listed_with_their_sizes(network):
    # 12 x 20 under a 3 x 3 kernel is 10 x 18, pooled 5 x 9, under 2 x 3 is 4 x 7
    convolutions = [("conv1", 4, (10, 18)), ("conv2", 5, (4, 7))]
    assert listed(layers_of(network)) == [
        *(("imitation", *layer) for layer in convolutions),
        *(("recording", *layer) for layer in convolutions),
        ("pair", "fc1", 8, None),
        ("pair", "fc2", 3, None),
    ]


def test_a_tied_tower_is_listed_once():
    tower = TowerGeometry([ConvStage(2, (3, 3))])
    tied = siamese(SiameseGeometry((8, 8), (8, 8), tower, tower, "tied", hidden=(4,)), Pixels(8, 8))
    assert [(layer.part, layer.name) for layer in layers_of(tied)] == [
        ("imitation", "conv1"),
        ("pair", "fc1"),
    ]


def test_a_classifier_has_its_hidden_layers_but_not_its_classes():
    network = Classifier((8, 8), TowerGeometry([ConvStage(2, (3, 3))]), 7, (5, 4)).eval()
    layers = layers_of(PretrainedTower("recording", Pixels(8, 8), network))
    assert listed(layers) == [
        ("recording", "conv1", 2, (6, 6)),
        ("recording", "fc1", 5, None),
        ("recording", "fc2", 4, None),
    ]
    clips = torch.randn(3, 8, 8)
    hidden = layers[-1].respond(clips)
    assert (hidden >= 0).all()
    torch.testing.assert_close(network.head[-1](hidden), network(clips))


class Cosine(System):
    """Both sides through one linear layer; nothing is a unit of a pair."""

    kind = "cosine"

    def __init__(self, front_ends):
        super().__init__(front_ends)
        self.conv = nn.Conv1d(6, 5, 3)
        self.layer = nn.Linear(25, 4)

    def settings(self):
        return {}

    def embed(self, side, features):
        return functional.normalize(self.layer(torch.tanh(self.conv(features)).flatten(1)), dim=1)

    def score(self, imitations, recordings):
        return imitations @ recordings.T


def test_a_system_of_any_make_lists_what_it_is_made_of():
    system = Cosine({side: Pixels(6, 7) for side in SIDES}).eval()
    layers = layers_of(system)
    assert listed(layers) == [
        ("imitation", "conv1", 5, (1, 5)),
        ("imitation", "fc1", 4, None),
    ]
    clips = torch.randn(3, 6, 7)
    torch.testing.assert_close(layers[0].respond(clips).squeeze(2), system.conv(clips))
    embedded = functional.normalize(layers[1].respond(clips), dim=1)
    torch.testing.assert_close(embedded, system.embed("imitation", clips))


def test_units_that_answer_for_each_patch_have_its_place_in_time():
    system = Imisound(
        dict.fromkeys(SIDES, Pixels(4, 10)), hidden=(5, 3), patch_frames=4, patch_hop=2
    )
    assert listed(layers_of(system)) == [
        ("imitation", "fc1", 5, (1, 4)),
        ("imitation", "fc2", 3, (1, 4)),
    ]


def test_responses_have_the_listed_sizes_and_lead_on_to_the_networks_score(network):
    layers = layers_of(network)
    clips = torch.randn(2, 12, 20)
    for layer in layers[:4]:
        assert layer.respond(clips).shape == (2, layer.units, *layer.positions)
    last = layers[-1].respond(clips, clips.flip(0))
    index = torch.arange(2)
    torch.testing.assert_close(
        network.head.rest[-1](last).squeeze(1), network(clips, clips.flip(0), index, index)
    )
    conv2 = layers[1].respond(clips)  # unpooled: the tower's embedding
    torch.testing.assert_close(conv2.flatten(1), network.imitation_tower(clips))


def test_one_unit_a_clip_answers_as_it_does_among_all_units(network):
    for stage in network.imitation_tower.stages:  # statistics that are not those of a new norm
        stage.norm.running_mean.uniform_(-1, 1)
        stage.norm.running_var.uniform_(0.5, 2)
    clips, units = torch.randn(4, 12, 20), torch.tensor([2, 0, 2, 1])
    for layer in layers_of(with_leaky_units(network, 0.3)):
        inputs = (clips, clips.flip(0))[: 2 if layer.part == "pair" else 1]
        for each in (layer, replace(layer, position="centre")):
            expected = each.activations(inputs)[torch.arange(4), units]
            torch.testing.assert_close(each.activation(units, inputs), expected)


def test_conv1_responds_with_the_rectified_convolution_before_pooling():
    tower = TowerGeometry([ConvStage(1, (1, 1), (2, 2))])
    network = siamese(
        SiameseGeometry((2, 2), (2, 2), tower, tower, "tied", hidden=(1,)), Pixels(2, 2)
    )
    stage = network.imitation_tower.stages[0]
    stage.conv.weight.data.fill_(-2.0)
    stage.conv.bias.data.fill_(1.0)
    clip = torch.tensor([[[0.0, 1.0], [-1.0, 3.0]]])
    expected = torch.tensor([[[[1.0, 0.0], [3.0, 0.0]]]])
    assert torch.equal(layers_of(network)[0].respond(clip), expected)
    leaky = layers_of(with_leaky_units(network, 0.3))[0].respond(clip)
    torch.testing.assert_close(leaky, torch.tensor([[[[1.0, -0.3], [3.0, -1.5]]]]))


def test_leaky_copies_leave_the_network_and_its_outputs_unchanged(network):
    clips, index = torch.randn(3, 12, 20), torch.arange(3)
    weights = copy.deepcopy(network.state_dict())
    before = network(clips, clips, index, index)
    leaky = with_leaky_units(network, 0.3)
    assert not any(isinstance(module, nn.ReLU) for module in leaky.modules())
    assert not torch.equal(leaky(clips, clips, index, index), before)
    assert torch.equal(network(clips, clips, index, index), before)
    assert sum(isinstance(module, nn.ReLU) for module in network.modules()) == 6
    assert all(torch.equal(value, weights[name]) for name, value in network.state_dict().items())
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_tied_towers_stay_tied_in_a_leaky_copy():
    tower = TowerGeometry([ConvStage(2, (3, 3))])
    tied = siamese(SiameseGeometry((8, 8), (8, 8), tower, tower, "tied", hidden=(4,)), Pixels(8, 8))
    leaky = with_leaky_units(tied, 0.3)
    assert leaky.imitation_tower is leaky.recording_tower


def test_by_default_all_convolutions_and_fc1_are_selected(subject):
    assert [layer.name for layer in selected_layers([subject], None)[0]] == [
        "conv1", "conv2", "conv1", "conv2", "fc1",
    ]  # fmt: skip
    (chosen,) = selected_layers([subject], ["conv2"], "recording")
    assert [(layer.part, layer.name) for layer in chosen] == [("recording", "conv2")]


@pytest.mark.parametrize(
    ("names", "part", "said"),
    [
        (["conv9"], None, "There is no layer 'conv9': the layers are conv1, conv2, fc1, fc2."),
        (["fc1"], "recording", "the layers are conv1, conv2."),
        (["conv1", ""], None, "There is no layer ''"),
    ],
)
def test_a_layer_that_is_not_there_is_refused(subject, names, part, said):
    with pytest.raises(ConfigError, match="There is no layer") as refused:
        selected_layers([subject], names, part)
    assert said in str(refused.value)


def test_a_part_that_the_network_lacks_is_refused():
    network = Classifier((8, 8), TowerGeometry([ConvStage(2, (3, 3))]), 7)
    tower = PretrainedTower("imitation", Pixels(8, 8), network)
    with pytest.raises(ConfigError, match="no layer that sees a pair: choose imitation"):
        selected_layers([Subject("tower", tower, "demo")], None, "pair")


def test_checkpoints_with_different_layers_cannot_stand_side_by_side(subject, network):
    chosen = selected_layers([subject, Subject("copy", copy.deepcopy(network), "demo")], None)
    assert listed(chosen[0]) == listed(chosen[1])
    tower = TowerGeometry([ConvStage(4, (3, 3))])
    other = siamese(SiameseGeometry((8, 8), (8, 8), tower, tower, hidden=(4,)), Pixels(8, 8))
    said = r"imitation conv1 \(4 units\), imitation conv2 .*; and imitation conv1"
    with pytest.raises(ConfigError, match=said):
        selected_layers([subject, Subject("other", other, "demo")], None)


@pytest.mark.parametrize("slope", [-0.1, 1.0, float("nan")])
def test_a_slope_out_of_range_is_refused(network, slope):
    with pytest.raises(ConfigError, match="leaky slope"):
        Subject("small", network, "demo", slope)
