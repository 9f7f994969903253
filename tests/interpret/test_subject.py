"""Subjects: the network that a checkpoint holds, with its front ends and layers."""

from dataclasses import asdict

import pytest
import torch

from vocalsketch.domain import SIDES
from vocalsketch.errors import CheckpointError
from vocalsketch.features.mel import LogMel
from vocalsketch.interpret.subject import load_subject, load_subjects
from vocalsketch.models.tower import Classifier, ConvStage, TowerGeometry
from vocalsketch.systems import load_system

TOWER = TowerGeometry([ConvStage(2, (3, 3), (2, 2))], batch_norm=True)


def save(path, prefix, network, described):
    path.parent.mkdir(parents=True, exist_ok=True)
    weights = {f"{prefix}.{name}": value for name, value in network.state_dict().items()}
    made = {"description": described, "provenance": {"corpus": "demo"}}
    torch.save({"state_dict": weights, "vocalsketch": made}, path)
    return path


@pytest.fixture
def siamese_path(network, tmp_path):
    path = tmp_path / "run" / "checkpoints" / "best.ckpt"
    return save(path, "system", network, network.description())


def test_a_siamese_checkpoint_gives_its_network_front_ends_and_layers(
    siamese_path, network, front_end
):
    found = load_subject(siamese_path)
    assert (found.name, found.corpus) == ("run", "demo")
    for side in SIDES:
        assert found.network.front_ends[side].describe() == front_end.describe()
    clips, index = torch.randn(2, 12, 20), torch.arange(2)
    assert torch.equal(
        found.network(clips, clips, index, index), network(clips, clips, index, index)
    )
    assert [len(layer.front_ends) for layer in found.layers] == [1, 1, 1, 1, 2, 2]


@pytest.mark.parametrize("side", SIDES)
def test_a_classifier_checkpoint_gives_its_tower_and_the_side_it_is_trained_for(
    front_end: LogMel, side, tmp_path
):
    torch.manual_seed(0)
    network = Classifier(front_end.shape, TOWER, 7, (5, 4), dropout=0.5).eval()
    made = {
        "system": "classifier",
        "side": side,
        "input_shape": list(front_end.shape),
        "tower": asdict(TOWER),
        "classes": list("abcdefg"),
        "front_end": front_end.describe(),
    }
    found = load_subject(save(tmp_path / "last.ckpt", "network", network, made))
    clips = torch.randn(2, *front_end.shape)
    hidden = found.network.embed(side, clips)
    torch.testing.assert_close(network.head[-1](hidden), network(clips))
    assert {s: each.describe() for s, each in found.network.front_ends.items()} == {
        side: front_end.describe()
    }
    assert [(layer.name, layer.part, layer.units) for layer in found.layers] == [
        ("conv1", side, 2),
        ("fc1", side, 5),
        ("fc2", side, 4),
    ]


def test_a_saved_system_is_looked_into_like_a_checkpoint(network, tmp_path):
    network.save(tmp_path / "mine" / "system.safetensors")
    found = load_subject(tmp_path / "mine" / "system.safetensors")
    assert (found.name, len(found.layers)) == ("mine", 6)


def test_what_has_no_units_is_refused(tmp_path):
    load_system("contours").save(tmp_path / "contours.safetensors")
    with pytest.raises(CheckpointError, match="has no layers whose units could be looked at"):
        load_subject(tmp_path / "contours.safetensors")


def test_a_leaky_subject_is_of_a_copy(siamese_path):
    plain = load_subject(siamese_path)
    clips = -torch.rand(1, 12, 20)
    assert float(plain.layers[0].respond(clips).detach().min()) >= 0.0
    assert float(plain.leaky_layers[0].respond(clips).detach().min()) < 0.0


def test_two_runs_of_one_name_are_told_apart(siamese_path):
    assert [each.name for each in load_subjects([siamese_path] * 2)] == ["run 1", "run 2"]
    named = load_subjects([siamese_path] * 2, ["a/../b", " c. "])
    assert [each.name for each in named] == ["a_.._b", "c"]
