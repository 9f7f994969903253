"""The constant-Q transform against its definition."""

import numpy as np
import pytest
import torch

from vocalsketch.errors import ConfigError
from vocalsketch.features.cqt import CQT


def by_definition(waveform: np.ndarray, cqt: CQT, bin_: int, frame: int) -> float:
    """Magnitude of one bin of one frame: the product with one windowed exponential."""
    quality = (4 ** (1 / cqt.bins_per_octave) + 1) / (4 ** (1 / cqt.bins_per_octave) - 1)
    frequency = cqt.minimum_frequency * 2 ** (bin_ / cqt.bins_per_octave)
    length = quality * cqt.sample_rate / frequency
    time = np.arange(len(waveform)) - frame * cqt.hop_length
    window = np.where(np.abs(time) < length / 2, 0.5 + 0.5 * np.cos(2 * np.pi * time / length), 0)
    exponential = np.exp(-2j * np.pi * frequency * time / cqt.sample_rate)
    whole = np.arange(-np.ceil(length), np.ceil(length) + 1)
    total = (0.5 + 0.5 * np.cos(2 * np.pi * whole / length))[np.abs(whole) < length / 2].sum()
    return float(np.abs(np.sum(waveform * window * exponential)) * np.sqrt(length) / total)


@pytest.mark.parametrize(
    "cqt",
    [
        CQT(scaling="magnitude"),
        CQT(scaling="magnitude", seconds=0.5, hop_length=133, bins=30, bins_per_octave=7),
        CQT(8_000, 1.0, 110.0, 36, 12, 256, "magnitude"),
    ],
    ids=["paper", "odd", "low rate"],
)
def test_every_value_is_the_product_with_its_kernel(cqt: CQT) -> None:
    waveform = np.random.default_rng(0).uniform(-0.5, 0.5, cqt.samples)
    magnitudes = cqt.spectrogram(torch.tensor(waveform[None], dtype=torch.float32))[0].numpy()
    bins, frames = cqt.shape
    tolerance = 2e-4 * float(magnitudes.max())
    for bin_ in (0, 1, bins // 2, bins - 1):
        for frame in (0, 1, frames // 2, frames - 1):
            expected = by_definition(waveform, cqt, bin_, frame)
            assert magnitudes[bin_, frame] == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize("bin_", [0, 12, 40, 71])
def test_a_tone_is_loudest_in_its_own_bin(bin_: int) -> None:
    cqt = CQT()
    time = torch.arange(cqt.samples) / cqt.sample_rate
    tone = torch.sin(2 * torch.pi * 50.0 * 2 ** (bin_ / 12) * time)
    levels = cqt.spectrogram(tone[None])[0]
    assert levels[:, 64].argmax() == bin_
    assert levels[bin_, 20:-20].min() > -1.0  # steady: within 1 dB of the maximum


def test_a_click_is_loudest_in_its_own_frame() -> None:
    cqt = CQT()
    waveform = torch.zeros(1, cqt.samples)
    waveform[0, 50 * cqt.hop_length] = 1.0
    assert (cqt.spectrogram(waveform)[0].argmax(dim=1) == 50).all()


def test_the_end_of_a_clip_does_not_reach_its_beginning() -> None:
    cqt = CQT(scaling="magnitude")
    waveform = torch.zeros(1, cqt.samples)
    waveform[0, -1] = 1.0
    magnitudes = cqt.spectrogram(waveform)[0]
    assert magnitudes[:, :100].max() < 1e-5 * magnitudes.max()


def test_the_papers_shape_and_hop() -> None:
    cqt = CQT()
    assert cqt.shape == (72, 129)
    assert cqt.samples == 128 * 420
    assert cqt.hop_length / cqt.sample_rate == 0.02625


def test_the_highest_bin_must_fit() -> None:
    CQT(bins=86)  # 50 Hz * 2 ** (85 / 12) = 6,780 Hz
    with pytest.raises(ConfigError, match=r"highest bin reaches 8\d\d\d Hz"):
        CQT(bins=89)
