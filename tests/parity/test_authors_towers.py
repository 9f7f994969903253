"""The authors' released towers: our network reproduces the statistics they stored."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from vocalsketch.datasets.open import open_corpus
from vocalsketch.domain import Side
from vocalsketch.features.front_end import FrontEnd, standardised
from vocalsketch.features.mel import ImitationLogMel, RecordingLogMel
from vocalsketch.features.store import FeatureStore
from vocalsketch.models.keras_weights import read_authors_tower
from vocalsketch.models.tower import ConvStage, Tower, TowerGeometry

STAGES = {
    "imitation": [
        ConvStage(48, (6, 6), (2, 2)),
        ConvStage(48, (6, 6), (2, 2)),
        ConvStage(48, (6, 6), (1, 2)),
    ],
    "recording": [
        ConvStage(24, (5, 5), (2, 4)),
        ConvStage(48, (5, 5), (2, 4)),
        ConvStage(48, (5, 5)),
    ],
}
SHAPES = {"imitation": (39, 482), "recording": (128, 128)}
FILES = {"imitation": "imi", "recording": "rec"}


def tower(weights: dict[str, Tensor], side: Side) -> Tower:
    network = Tower(SHAPES[side], TowerGeometry(STAGES[side], batch_norm=True)).eval()
    network.load_state_dict(weights)
    return network


def means_before_normalisation(network: Tower, inputs: Tensor) -> list[np.ndarray]:
    """Mean of each channel of each convolution, over clips, bins and frames."""
    means = []
    outputs = inputs.unsqueeze(1)
    with torch.no_grad():
        for stage in network.stages:
            means.append(stage.conv(outputs).mean(dim=(0, 2, 3)).numpy())
            outputs = stage(outputs)
    return means


@pytest.mark.parametrize("side", ["imitation", "recording"])
@pytest.mark.parametrize("name", ["own", "metric"])
def test_every_weight_of_the_released_towers_has_its_place(
    shared: Path, side: Side, name: str
) -> None:
    file = FILES[side] if name == "own" else "metric"
    path = shared / "reference" / "weights" / f"with_pretrain_asym_{file}.h5"
    network = tower(read_authors_tower(path, side), side)
    assert network.width == {"imitation": 2640, "recording": 2400}[side]


def correlations(weights: dict[str, Tensor], side: Side, inputs: Tensor) -> list[float]:
    """How each layer's means agree with those that its batch norm stored in training."""
    means = means_before_normalisation(tower(weights, side), inputs)
    return [
        float(np.corrcoef(mean, weights[f"stages.{stage}.norm.running_mean"])[0, 1])
        for stage, mean in enumerate(means)
    ]


def turned(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        name: value.flip(2, 3) if name.endswith("conv.weight") else value
        for name, value in weights.items()
    }


def features(paths: list[Path], front_end: FrontEnd, cache: Path) -> Tensor:
    table = FeatureStore(cache).fill(paths, front_end, progress=False)
    return torch.from_numpy(table.stack())


@pytest.mark.parametrize("file", ["rec", "metric"])
def test_the_recording_tower_reproduces_its_stored_means(shared: Path, file: str) -> None:
    """On the authors' own features of 20 acoustic instruments, one of their four categories."""
    reference = shared / "reference"
    stored = np.load(reference / "recording_logmel_ai.npy")[..., 0]
    inputs = standardised(torch.from_numpy(stored).float())
    path = reference / "weights" / f"with_pretrain_asym_{file}.h5"
    weights = read_authors_tower(path, "recording")
    first, second, third = correlations(weights, "recording", inputs)
    # An example's mean is zero, so that the first layer's mean is its bias and what the clip's
    # edges leave of it: small numbers, which differ from one choice of 20 sounds to the next.
    assert first > 0.94
    assert min(second, third) > 0.95
    assert correlations(turned(weights), "recording", inputs)[0] < 0.5


def test_sounds_of_all_categories_reproduce_the_recording_towers_means(
    shared: Path, tmp_path: Path
) -> None:
    """Every layer, on all 96 sounds and on the 24 of each category by themselves."""
    sounds = open_corpus(shared / "data" / "vocalsketch").sounds
    inputs = features([sound.path for sound in sounds], RecordingLogMel(), tmp_path)
    path = shared / "reference" / "weights" / "with_pretrain_asym_rec.h5"
    weights = read_authors_tower(path, "recording")
    assert min(correlations(weights, "recording", inputs)) > 0.98
    categories = np.array([sound.category for sound in sounds])
    for category in np.unique(categories):
        own = inputs[torch.from_numpy(categories == category)]
        assert min(correlations(weights, "recording", own)) > 0.95, category


def test_the_imitation_towers_kernels_are_turned_too(shared: Path, tmp_path: Path) -> None:
    """On vocoder-made imitations, the means agree only with the kernels as we turn them."""
    imitations = open_corpus(shared / "data" / "vocalsketch").imitations[::40]
    inputs = features([each.path for each in imitations], ImitationLogMel(), tmp_path)
    path = shared / "reference" / "weights" / "with_pretrain_asym_imi.h5"
    weights = read_authors_tower(path, "imitation")
    assert min(correlations(weights, "imitation", inputs)) > 0.9
    assert correlations(turned(weights), "imitation", inputs)[0] < 0.5
