"""The yardstick without learning: how far two clips' contours lie apart."""

import numpy as np
import soxr
from librosa.filters import mel
from numpy.typing import NDArray
from scipy import fft

from vocalsketch.datasets.demo.listening import HOP, SAMPLE_RATE, WINDOW, heard

POINTS = 20  # of each contour, whatever the clip's length
BANDS = 40
AUDIBLE = 35.0  # dB below the loudest frame: what is softer at either end is silence

Array = NDArray[np.float64]


def contour_features(waveform: NDArray[np.floating], sample_rate: int) -> Array:
    """Return a clip's contours and averages as one vector.

    Args:
        waveform: (samples,), mono.
        sample_rate: Hz.

    Returns:
        (4 * POINTS + 2 * BANDS + 1,): loudness, pitch, periodicity and brightness at ``POINTS``
        equal distances in time, mean and deviation of ``BANDS`` mel bands in dB, log duration.
    """
    clip = np.asarray(waveform, dtype=np.float64)
    if sample_rate != SAMPLE_RATE:
        clip = soxr.resample(clip, sample_rate, SAMPLE_RATE)
    clip = _trimmed(clip)
    contours = heard(clip)
    bands = _mel_bands(clip)
    parts = [
        _evenly(contour)
        for contour in (
            contours.loudness,
            contours.pitch,
            contours.periodicity,
            contours.brightness,
        )
    ]
    duration = np.log(max(len(clip), 1) / SAMPLE_RATE)
    return np.concatenate([*parts, bands.mean(axis=1), bands.std(axis=1), [duration]])


def contour_scores(queries: NDArray[np.floating], candidates: NDArray[np.floating]) -> Array:
    """Return how close each query's vector is to each candidate's.

    Each side is standardised by itself: a voice differs from a sound in ways that say nothing
    about which sound is meant.

    Args:
        queries: (Q, d), from ``contour_features``.
        candidates: (N, d).

    Returns:
        (Q, N), the negated squared distance: higher is closer.
    """
    left, right = _standardised(queries), _standardised(candidates)
    squared = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1)[None, :]
    return np.asarray(2.0 * left @ right.T - squared)


def _standardised(vectors: NDArray[np.floating]) -> Array:
    deviation = vectors.std(axis=0)
    return np.asarray((vectors - vectors.mean(axis=0)) / np.where(deviation > 1e-9, deviation, 1.0))


def _trimmed(clip: Array) -> Array:
    """Return the clip from its first to its last frame within ``AUDIBLE`` dB of the loudest."""
    audible = np.flatnonzero(heard(clip).loudness > -AUDIBLE)
    if len(audible) == 0:
        return clip
    return clip[audible[0] * HOP : audible[-1] * HOP + 1]


def _evenly(contour: Array) -> Array:
    places = np.linspace(0, len(contour) - 1, POINTS)
    return np.interp(places, np.arange(len(contour)), contour)


def _mel_bands(clip: Array) -> Array:
    """Return the mel spectrogram in dB, 80 dB below its maximum at most, (BANDS, frames)."""
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(clip, (0, WINDOW)), WINDOW)[::HOP]
    power = np.abs(fft.rfft(frames * np.hanning(WINDOW), axis=1)) ** 2
    bands = mel(sr=SAMPLE_RATE, n_fft=WINDOW, n_mels=BANDS) @ power.T
    return np.asarray(10.0 * np.log10(np.maximum(bands, max(bands.max() * 1e-8, 1e-12))))
