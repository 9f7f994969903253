"""The dual encoder's front end, held to librosa."""

import librosa
import numpy as np
import pytest
import torch

from vocalsketch.errors import ConfigError
from vocalsketch.features.audible_mel import AudibleMel, CompressedMel, own_time


def test_it_is_librosas_mel_spectrogram_in_decibels() -> None:
    front_end = AudibleMel(seconds=0.5)
    waveform = np.random.default_rng(0).normal(0, 0.1, front_end.samples).astype(np.float32)
    power = librosa.feature.melspectrogram(
        y=np.pad(waveform, (0, 512)),
        sr=16_000,
        n_fft=1024,
        win_length=512,
        hop_length=160,
        n_mels=64,
        fmin=50.0,
        fmax=8_000.0,
        center=True,
        pad_mode="constant",
    )[:, :50]
    expected = librosa.power_to_db(power, ref=np.max, top_db=80.0) + 80.0
    found = front_end(torch.from_numpy(waveform)[None])[0].numpy()
    assert found.shape == front_end.shape == (64, 50)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_level_makes_no_difference_and_silence_is_the_floor() -> None:
    front_end = AudibleMel(seconds=0.5)
    waveform = torch.randn(1, front_end.samples) * 0.1
    torch.testing.assert_close(front_end(waveform), front_end(waveform * 0.5), atol=1e-3, rtol=0)
    half = waveform.clone()
    half[:, front_end.samples // 2 :] = 0
    assert float(front_end(half)[0, :, -5:].max()) == 0.0


def test_breath_before_a_sound_is_cut_and_its_decay_is_kept() -> None:
    """25 dB below the loudest: too soft to begin with, loud enough to end with."""
    front_end = AudibleMel(seconds=1.0)
    time = torch.arange(front_end.samples) / front_end.sample_rate
    softer = torch.where((time < 0.2) | (time >= 0.5), 10 ** (-25 / 20), 1.0) * (time < 0.8)
    frames = front_end((softer * torch.sin(2 * torch.pi * 1000 * time))[None])[0].amax(0)
    sounding = torch.nonzero(frames).flatten().tolist()
    assert sounding[0] == 0
    assert 60 <= len(sounding) <= 63  # of 0.6 s, and half a window at either end
    assert float(frames[35:55].max()) < 57
    cut = AudibleMel(seconds=1.0, decay=20.0)(softer[None] * torch.sin(2000 * torch.pi * time))
    assert 30 <= int(torch.nonzero(cut[0].amax(0)).numel()) <= 33


@pytest.mark.parametrize("front_end", [AudibleMel(seconds=0.5), CompressedMel(seconds=0.5)])
def test_the_silence_after_clips_is_what_it_would_be_computed(front_end: AudibleMel) -> None:
    """Clips of any length, several at once: the same bits as with every frame transformed."""
    samples = front_end.samples
    clips = 0.1 * torch.randn(7, samples)
    lengths = (0, 1, 100, 161, samples // 3, samples - 1, samples)
    for clip, length in zip(clips, lengths, strict=True):
        clip[length:] = 0
    whole = front_end._first_frames(clips, front_end.shape[1])
    assert torch.equal(front_end._power(clips), whole)


def test_bands_beyond_half_of_the_rate_are_refused() -> None:
    with pytest.raises(ConfigError, match="half of the sample rate 8000"):
        AudibleMel(sample_rate=8_000)


@pytest.mark.parametrize("frames", [1, 100, 199, 200, 400])
def test_own_time_interpolates_short_sounds_and_averages_long_ones(frames: int) -> None:
    levels = torch.zeros(1, 3, 500)
    levels[:, :, 20 : 20 + frames] = 65 + 15 * torch.rand(1, 3, frames)
    sounding = levels[:, :, 20 : 20 + frames]
    expected = (
        torch.nn.functional.interpolate(sounding, size=100, mode="linear", align_corners=False)
        if frames < 200
        else torch.nn.functional.adaptive_avg_pool1d(sounding, 100)
    )
    stretched, count = own_time(levels, 20.0, 30.0, 100)
    assert int(count) == frames
    torch.testing.assert_close(stretched, expected, atol=0.05, rtol=0)
