"""EfficientAT's network and front end, held to the outputs of its random weights."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from vocalsketch.errors import CheckpointError, DamagedCheckpointError
from vocalsketch.features.mel import PreemphasisedMel
from vocalsketch.models.encoder import EncoderGeometry, MobileNet
from vocalsketch.systems.dual_encoder import DualEncoder

WEIGHTS = "random_weights_width_0.2.safetensors"


@pytest.fixture
def reference(shared: Path) -> Path:
    return shared / "reference" / "efficientat"


def narrow() -> DualEncoder:
    """A dual encoder of the reference's width, whose embedding is the mean over places."""
    geometry = EncoderGeometry(backbone="mn02", places=1, width=None)
    ends = {"imitation": PreemphasisedMel(), "recording": PreemphasisedMel()}
    return DualEncoder(ends, geometry, frames=1000, pooling=1).eval()


def test_front_end_and_network_are_efficientats(reference: Path, tmp_path: Path) -> None:
    arrays = np.load(reference / "mn_parity.npz")
    waveforms = torch.from_numpy(arrays["waveforms"])
    mel = PreemphasisedMel()(waveforms)
    np.testing.assert_allclose(mel, arrays["mel"], atol=1e-4)
    system = narrow()
    # as a release is published: torch's file
    torch.save(load_file(reference / WEIGHTS), tmp_path / "mn02.pt")
    expected = torch.nn.functional.normalize(torch.from_numpy(arrays["features"]), dim=1)
    for weights in (reference / WEIGHTS, tmp_path / "mn02.pt"):
        system.load_backbone(weights)
        with torch.inference_mode():
            maps = system.encoders["imitation"].get_submodule("convolutions")(mel[:, None])
            np.testing.assert_allclose(maps.mean((2, 3)), arrays["features"], atol=1e-4)
            for each in (system, system.fast()):
                found = each.hear("recording", waveforms)
                torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_mn10_has_as_many_weights_as_published() -> None:
    network = MobileNet("mn10")
    classifier = (960 + 1) * 1280 + (1280 + 1) * 527
    assert network.values == 960
    # 4.88 M in all: Schmid et al., ICASSP 2023, table 1
    assert round((sum(p.numel() for p in network.parameters()) + classifier) / 1e6, 2) == 4.88


def test_other_weights_are_refused_by_name(reference: Path, tmp_path: Path) -> None:
    weights = load_file(reference / WEIGHTS)
    weights["features.7.block.1.0.weight"] = torch.zeros(48, 1, 5, 5)
    save_file(weights, tmp_path / "other.safetensors")
    message = r"7\.block\.1\.0\.weight is \(48, 1, 5, 5\) there.*Give the weights of mn02"
    with pytest.raises(CheckpointError, match=message):
        narrow().load_backbone(tmp_path / "other.safetensors")
    torch.save({"features": [1, 2]}, tmp_path / "list.pt")
    with pytest.raises(DamagedCheckpointError, match="features is no tensor"):
        narrow().load_backbone(tmp_path / "list.pt")
    (tmp_path / "cut.pt").write_bytes((reference / WEIGHTS).read_bytes()[:5000])
    with pytest.raises(DamagedCheckpointError, match="damaged"):
        narrow().load_backbone(tmp_path / "cut.pt")
