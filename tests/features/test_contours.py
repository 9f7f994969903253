"""Contours and averages of a clip, by hand and beside a reference."""

import librosa
import numpy as np
import pytest
import torch
from numpy_listening import heard

from vocalsketch.features.contours import AUDIBLE, BANDS, POINTS, ContourFeatures
from vocalsketch.voice.imitate import imitate, listen
from vocalsketch.voice.listening import HOP, SAMPLE_RATE, WINDOW
from vocalsketch.voice.people import anyone


def contour_features(waveform: np.ndarray, rate: int) -> np.ndarray:
    clips = torch.from_numpy(waveform.astype(np.float32))[None]
    front_end = ContourFeatures(rate, max(1, len(waveform)) / rate)
    return front_end.spectrogram(clips)[0, :, 0].numpy()


def reference(waveform: np.ndarray) -> np.ndarray:
    """The same in double precision, by numpy, from what a voice listens to."""
    contours = heard(waveform)
    audible = np.flatnonzero(contours.loudness > -AUDIBLE)
    within = slice(audible[0], audible[-1] + 1)
    frames = librosa.util.frame(
        np.pad(waveform, (WINDOW // 2, WINDOW)), frame_length=WINDOW, hop_length=HOP
    )
    power = np.abs(np.fft.rfft(frames * np.hanning(WINDOW)[:, None], axis=0)) ** 2
    bands = librosa.filters.mel(sr=SAMPLE_RATE, n_fft=WINDOW, n_mels=BANDS) @ power
    levels = librosa.power_to_db(bands, amin=1e-12, top_db=80.0)[:, within]
    found = (contours.loudness, contours.pitch, contours.periodicity, contours.brightness)
    parts = [
        np.interp(np.linspace(0, len(each) - 1, POINTS), np.arange(len(each)), each)
        for each in (contour[within] for contour in found)
    ]
    duration = np.log(levels.shape[1] * HOP / SAMPLE_RATE)
    return np.concatenate([*parts, levels.mean(1), levels.std(1), [duration]])


@pytest.mark.parametrize("seed", range(4))
def test_a_voice_is_heard_as_it_listens_itself(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sound = sine(300.0, 16_000) * np.linspace(0.0, 1.0, 16_000) ** 2
    sung = imitate(listen(sound), anyone(rng), rng)
    np.testing.assert_allclose(contour_features(sung, 16_000), reference(sung), atol=5e-3)


def sine(frequency: float, rate: int, seconds: float = 1.0) -> np.ndarray:
    return np.sin(2.0 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


def test_parts_of_the_vector_are_in_order() -> None:
    vector = contour_features(sine(440.0, 16_000), 16_000)
    loudness, pitch, periodicity, brightness = vector[:80].reshape(4, 20)

    assert vector.shape == (161,)
    assert np.median(loudness) == pytest.approx(0.0, abs=0.1)
    assert np.median(pitch) == pytest.approx(3.0, abs=0.02)  # 440 Hz is 3 octaves above 55 Hz
    assert np.median(periodicity) > 0.95
    assert np.median(brightness) == pytest.approx(3.0, abs=0.05)
    assert vector[160] == pytest.approx(0.0, abs=0.05)  # log of 1 s


def test_sample_rate_hardly_matters() -> None:
    low = contour_features(sine(440.0, 16_000), 16_000)
    high = contour_features(sine(440.0, 44_100), 44_100)

    assert np.abs(low[:80] - high[:80]).max() < 0.5


def test_silence_around_a_clip_does_not_matter() -> None:
    clip = sine(300.0, 16_000) * np.linspace(0.2, 1.0, 16_000)
    padded = np.concatenate([np.zeros(8_000), clip, np.zeros(4_800)])

    bare, surrounded = contour_features(clip, 16_000), contour_features(padded, 16_000)
    inner = [*range(1, 19), *range(21, 39)]  # of loudness and pitch: the ends may be cut otherwise
    assert np.abs(bare - surrounded)[inner].max() < 1.0
    assert surrounded[160] == pytest.approx(bare[160], abs=0.05)


@pytest.mark.parametrize("samples", [1, 100, 16_000])
def test_silence_and_the_shortest_clips_have_finite_features(samples: int) -> None:
    vector = contour_features(np.zeros(samples), 16_000)

    assert vector.shape == (161,)
    assert np.isfinite(vector).all()


def test_the_front_end_gives_each_clips_features_whatever_follows_it() -> None:
    clip = sine(300.0, 16_000) * np.linspace(0.2, 1.0, 16_000)
    front_end = ContourFeatures(seconds=2.0)
    padded = np.zeros((1, front_end.samples), dtype=np.float32)
    padded[0, : len(clip)] = clip
    features = front_end(torch.from_numpy(padded))

    assert features.shape == (1, *front_end.shape)
    np.testing.assert_allclose(
        features[0, :, 0], contour_features(padded[0, : len(clip)], 16_000), rtol=1e-5
    )
