"""The front ends against librosa, and against the authors' own arrays."""

import json
from pathlib import Path

import librosa
import numpy as np
import pytest
import torch

from vocalsketch.features.audio import load_clip
from vocalsketch.features.cqt import CQT
from vocalsketch.features.mel import ImitationLogMel, LogMel, RecordingLogMel


def waveforms(samples: int, rate: int) -> dict[str, np.ndarray]:
    """A glide, notes that decay, filtered noise, and half a clip of noise and silence."""
    rng = np.random.default_rng(0)
    time = np.arange(samples) / rate
    noise = rng.standard_normal(samples)
    notes = sum(
        np.sin(2 * np.pi * f * time) * np.exp(-3 * (time % 0.7)) for f in (98.0, 247.0, 1319.0)
    )
    signals = {
        "glide": np.sin(2 * np.pi * (100 * time + 300 * time**2)) + 0.01 * noise,
        "notes": notes + 0.001 * noise,
        "brown noise": np.convolve(noise, np.exp(-np.arange(200) / 20), mode="same"),
        "half silent": noise * (time < time[-1] / 2),
    }
    return {name: (0.5 * x / np.abs(x).max()).astype(np.float32) for name, x in signals.items()}


@pytest.mark.parametrize("name", ["glide", "notes", "brown noise", "half silent"])
def test_cqt_against_librosa(name: str) -> None:
    """Librosa drops 1 % of each kernel and halves the rate octave by octave, hence a tolerance.

    Its deviations grow in the troughs between partials, so the mean is bounded there, and the
    maximum in magnitudes.
    """
    cqt = CQT()
    waveform = waveforms(cqt.samples, cqt.sample_rate)[name]
    ours = cqt.power(torch.tensor(waveform)[None]).sqrt()[0].numpy()
    theirs = np.abs(
        librosa.cqt(waveform, sr=16_000, hop_length=420, fmin=50.0, n_bins=72, bins_per_octave=12)
    )
    assert ours.shape == theirs.shape == (72, 129)
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.9995
    assert np.abs(ours - theirs).max() < 0.03 * theirs.max()
    levels = cqt.spectrogram(torch.tensor(waveform)[None])[0].numpy()
    reference = librosa.amplitude_to_db(theirs, ref=np.max, top_db=80)
    audible = reference > -60
    assert np.abs(levels - reference)[audible].mean() < 1.0


@pytest.mark.parametrize("name", ["glide", "notes", "brown noise", "half silent"])
@pytest.mark.parametrize(
    "front_end",
    [
        ImitationLogMel(),
        RecordingLogMel(),
        LogMel(22_050, 1.0, 512, 40, 30.0, 8_000.0, 44, 60.0),
        LogMel(16_000, 0.5, 401, 64, 100.0, 8_000.0, 7),
    ],
    ids=["imitation", "recording", "even", "odd"],
)
def test_log_mel_against_librosa(front_end: LogMel, name: str) -> None:
    waveform = waveforms(front_end.samples, front_end.sample_rate)[name]
    power = librosa.feature.melspectrogram(
        y=waveform,
        sr=front_end.sample_rate,
        n_fft=front_end.window,
        hop_length=front_end.window,
        n_mels=front_end.bands,
        fmin=front_end.minimum_frequency,
        fmax=front_end.maximum_frequency,
        pad_mode="reflect",
    )
    theirs = librosa.power_to_db(power, ref=np.max, top_db=front_end.top_db)
    ours = front_end.spectrogram(torch.tensor(waveform)[None])[0].numpy()
    np.testing.assert_allclose(ours, theirs[:, : front_end.frames], atol=0.01)


@pytest.mark.parametrize("front_end", [ImitationLogMel(), RecordingLogMel()])
def test_mel_filters_are_librosas(front_end: LogMel) -> None:
    theirs = librosa.filters.mel(
        sr=front_end.sample_rate,
        n_fft=front_end.window,
        n_mels=front_end.bands,
        fmin=front_end.minimum_frequency,
        fmax=front_end.maximum_frequency,
    )
    np.testing.assert_allclose(front_end.filters(), theirs, atol=1e-8)


def test_recording_log_mel_is_the_authors_own(shared: Path) -> None:
    """The twenty stored inputs of the authors' recording tower, from their audio files."""
    folder = shared / "reference"
    stored = np.load(folder / "recording_logmel_ai.npy")[..., 0]
    names = json.loads((folder / "recording_logmel_ai.json").read_text())
    front_end = RecordingLogMel()
    clips = np.stack([load_clip(folder / "recordings" / name, front_end) for name in names])
    ours = front_end.spectrogram(torch.from_numpy(clips)).numpy()
    assert len(names) == 20
    assert np.abs(ours - stored).max() <= 0.05
