"""The stacked autoencoder and the features of a clip."""

import librosa
import numpy as np
import pytest
import scipy.stats
import torch

from vocalsketch.errors import ConfigError
from vocalsketch.models.autoencoder import (
    StackedAutoencoder,
    clip_features,
    delta,
    patches,
    sounding_patches,
)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def test_the_papers_sizes():
    model = StackedAutoencoder()
    weights = 1440 * 1000 + 1000 * 600
    biases = (1000 + 600) + (1000 + 1440)
    assert sum(p.numel() for p in model.parameters()) == 2 * weights + biases
    inputs = patches(torch.randn(2, 72, 129))
    assert inputs.shape == (2, 11, 1440)
    codes = model.encode(inputs)
    assert codes.shape == (2, 11, 600)
    assert model.decode(codes).shape == inputs.shape
    assert clip_features(codes).shape == (2, 7200)


def test_codes_are_activated_and_the_reconstruction_is_linear():
    model = StackedAutoencoder([5, 4, 3])
    inputs = torch.randn(7, 5)
    first, second = model.encoders
    hidden = torch.sigmoid(first(inputs))
    codes = torch.sigmoid(second(hidden))
    torch.testing.assert_close(model.encode(inputs), codes)
    back = torch.sigmoid(model.decoders[1](codes))
    torch.testing.assert_close(model(inputs), model.decoders[0](back))


def test_greedy_layers_are_the_whole_networks_layers():
    model = StackedAutoencoder([5, 4, 3], "tanh")
    inputs = torch.randn(7, 5)
    assert model.encode(inputs, 0) is inputs
    below = model.encode(inputs, 1)
    torch.testing.assert_close(
        model.reconstruct_layer(1, below),
        torch.tanh(model.decoders[1](torch.tanh(model.encoders[1](below)))),
    )
    torch.testing.assert_close(model.reconstruct_layer(0, inputs), model.decoders[0](below))


def test_reconstructing_with_a_layer_uses_its_own_encoder_and_decoder_alone():
    model = StackedAutoencoder([5, 4, 3])
    model.reconstruct_layer(1, torch.randn(2, 4)).sum().backward()
    used = {name for name, p in model.named_parameters() if p.grad is not None}
    own = {id(p) for layer in (model.encoders[1], model.decoders[1]) for p in layer.parameters()}
    assert {id(p) for n, p in model.named_parameters() if n in used} == own
    assert len(own) == 4


def test_it_learns_to_reconstruct():
    model = StackedAutoencoder([8, 4])
    inputs = torch.rand(64, 1) @ torch.randn(1, 8)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(100):
        optimiser.zero_grad()
        loss = torch.nn.functional.mse_loss(model(inputs), inputs)
        loss.backward()
        optimiser.step()
    assert loss < 0.3 * inputs.var(dim=0).mean()  # the best constant leaves all of it


def test_patches_hold_the_frames_that_they_should():
    spectrograms = torch.randn(2, 3, 29)
    cut = patches(spectrograms, width=20, hop=4)
    assert cut.shape == (2, 3, 60)
    for number, start in enumerate((0, 4, 8)):
        expected = spectrograms[:, :, start : start + 20].reshape(2, -1)
        torch.testing.assert_close(cut[:, number], expected, rtol=0, atol=0)


@pytest.mark.parametrize(("width", "hop"), [(30, 1), (0, 1), (5, 0)])
def test_patches_that_cannot_be_cut_are_refused(width, hop):
    with pytest.raises(ConfigError, match=f"Patches of {width} frames every {hop} cannot be cut"):
        patches(torch.zeros(1, 3, 29), width, hop)


@pytest.mark.parametrize("width", [3, 5])
def test_delta_agrees_with_librosa(width):
    codes = torch.randn(2, 9, 4, dtype=torch.float64)
    expected = librosa.feature.delta(codes.numpy(), width=width, axis=1, mode="nearest")
    np.testing.assert_allclose(delta(codes, width).numpy(), expected, atol=1e-12)


def test_delta_of_a_ramp_is_its_slope():
    ramp = torch.arange(6.0).reshape(1, 6, 1) * 2
    assert delta(ramp).flatten().tolist() == [1, 2, 2, 2, 2, 1]
    assert delta(torch.ones(1, 1, 3)).flatten().tolist() == [0, 0, 0]


@pytest.mark.parametrize("width", [1, 4])
def test_a_delta_width_that_has_no_middle_is_refused(width):
    with pytest.raises(ConfigError, match=f"delta's width is {width}"):
        delta(torch.zeros(1, 5, 2), width)


@pytest.mark.parametrize("count", [1, 2, 6, 11])
def test_six_statistics_agree_with_numpy_and_scipy(count):
    codes = torch.randn(3, count, 4, dtype=torch.float64)
    values = np.concatenate([codes, delta(codes)], axis=2)
    expected = np.concatenate(
        [
            values.max(axis=1),
            values.min(axis=1),
            values.mean(axis=1),
            np.median(values, axis=1),
            values.std(axis=1),
            scipy.stats.iqr(values, axis=1),
        ],
        axis=1,
    )
    np.testing.assert_allclose(clip_features(codes).numpy(), expected, atol=1e-12)


def test_padding_beyond_the_counted_patches_does_not_matter():
    codes = torch.randn(3, 6, 4)
    counts = torch.tensor([2, 6, 2])
    features = clip_features(codes, counts)
    torch.testing.assert_close(features[0], clip_features(codes[:1, :2])[0])
    torch.testing.assert_close(features[1], clip_features(codes[1:2])[0])
    codes[0, 2:] = 1e6
    torch.testing.assert_close(clip_features(codes, counts)[0], features[0])


def test_patches_after_the_last_sound_are_not_counted():
    spectrograms = torch.full((3, 2, 50), -1.5)
    spectrograms[0, 1, 3] = 2.0  # in the first patch alone
    spectrograms[1, 0, 2] = spectrograms[1, 0, 44] = 1.0  # silence between is not padding
    cut = patches(spectrograms, width=10, hop=10)
    assert sounding_patches(cut).tolist() == [1, 5, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1440],), r"widths is \[1440\]"),
        (([10, 0],), r"widths is \[10, 0\]"),
        (([10, 5], "gelu"), "activation is 'gelu': use sigmoid, tanh, relu"),
    ],
)
def test_an_autoencoder_that_cannot_be_built_is_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        StackedAutoencoder(*arguments)
