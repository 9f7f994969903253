"""Reading Keras' weights: a kernel saved under Theano convolves as Theano's did."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from scipy.signal import convolve2d, correlate2d

from vocalsketch.errors import CheckpointError
from vocalsketch.models.keras_weights import read_authors_tower
from vocalsketch.models.tower import ConvStage, Tower, TowerGeometry

FILTERS = (2, 3)


def write_tower(path: Path, backend: str = "theano", part: str = "", first_norm: int = 9) -> Path:
    """A recording tower of 1-2-3 channels with 3x2 kernels; norms are numbered 9 and 10."""
    generator = np.random.default_rng(0)
    with h5py.File(path, "a") as file:
        file.attrs["backend"] = backend
        channels = 1
        for number, filters in enumerate(FILTERS):
            conv = f"{part}nyu_conv_{number + 1}/nyu_conv_{number + 1}"
            file[f"{conv}/kernel"] = generator.standard_normal((3, 2, channels, filters))
            file[f"{conv}/bias"] = generator.standard_normal(filters)
            norm = f"{part}batch_normalization_{first_norm + number}"
            for name in ("gamma", "beta", "moving_mean", "moving_variance"):
                file[f"{norm}/{name}"] = generator.uniform(0.5, 1.5, filters) + number
            channels = filters
    return path


@pytest.mark.parametrize(
    ("backend", "convolution"), [("theano", convolve2d), ("tensorflow", correlate2d)]
)
def test_kernels_are_turned_where_theano_saved_them(
    tmp_path: Path, backend: str, convolution: object
) -> None:
    path = write_tower(tmp_path / "rec.h5", backend)
    weights = read_authors_tower(path, "recording")
    image = np.random.default_rng(1).standard_normal((7, 6))
    found = torch.nn.functional.conv2d(
        torch.from_numpy(image[None, None]).float(), weights["stages.0.conv.weight"]
    )
    with h5py.File(path) as file:
        kernel = file["nyu_conv_1/nyu_conv_1/kernel"][()]
    for channel in range(FILTERS[0]):
        expected = convolution(image, kernel[:, :, 0, channel], mode="valid")
        np.testing.assert_allclose(found[0, channel].numpy(), expected, atol=1e-5)


def test_names_and_shapes_are_a_towers_and_layers_are_in_numeric_order(tmp_path: Path) -> None:
    weights = read_authors_tower(write_tower(tmp_path / "rec.h5"), "recording")
    stages = [ConvStage(filters, (3, 2)) for filters in FILTERS]
    tower = Tower((7, 6), TowerGeometry(stages, batch_norm=True))
    tower.load_state_dict(weights)
    # batch_normalization_10 comes after _9, though not in the alphabet
    assert weights["stages.0.norm.running_mean"].max() < 1.5 < weights["stages.1.norm.weight"].min()


def test_a_file_of_both_towers_gives_each_its_own(tmp_path: Path) -> None:
    path = write_tower(tmp_path / "metric.h5", part="model_2/", first_norm=4)
    with h5py.File(path, "a") as file:
        file["model_1/lid_conv_1/kernel"] = np.zeros((6, 6, 1, 4))
        file["model_1/lid_conv_1/bias"] = np.zeros(4)
        for name in ("gamma", "beta", "moving_mean", "moving_variance"):
            file[f"model_1/batch_normalization_1/{name}"] = np.full(4, 7.0)
    imitation = read_authors_tower(path, "imitation")
    recording = read_authors_tower(path, "recording")
    assert imitation["stages.0.conv.weight"].shape == (4, 1, 6, 6)
    assert imitation["stages.0.norm.weight"].tolist() == [7.0] * 4
    assert recording["stages.1.conv.weight"].shape == (3, 2, 3, 2)
    assert len(imitation) == 7
    assert len(recording) == 14


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No weights at"),
        (b"not HDF5", "no HDF5 file, or damaged"),
    ],
)
def test_files_that_are_no_weights_are_refused(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    path = tmp_path / "weights.h5"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        read_authors_tower(path, "recording")


def test_the_other_towers_file_is_refused_with_what_it_holds(tmp_path: Path) -> None:
    path = write_tower(tmp_path / "rec.h5")
    message = "does not hold the imitation tower.*batch_normalization_10, .*nyu_conv_1"
    with pytest.raises(CheckpointError, match=message):
        read_authors_tower(path, "imitation")
