"""The yardstick without learning: how far two clips' contours lie apart."""

import numpy as np
import soxr
from librosa.filters import mel
from numpy.typing import NDArray
from scipy import fft

from vocalsketch.voice.listening import HOP, SAMPLE_RATE, WINDOW, heard

POINTS = 20  # of each contour, whatever the clip's length
BANDS = 40
FAMILIES = POINTS, POINTS, POINTS, POINTS, 2 * BANDS, 1  # sizes of the vector's parts
AUDIBLE = 30.0  # dB below the loudest frame: what is softer at either end is silence

Array = NDArray[np.float64]


def contour_features(waveform: NDArray[np.floating], sample_rate: int) -> Array:
    """Return a clip's contours and averages as one vector.

    Args:
        waveform: (samples,), mono.
        sample_rate: Hz.

    Returns:
        (4 * POINTS + 2 * BANDS + 1,): loudness, pitch, periodicity and brightness at ``POINTS``
        equal distances in time from the first to the last audible frame, mean and deviation
        there of ``BANDS`` mel bands in dB, log duration.
    """
    clip = np.asarray(waveform, dtype=np.float64)
    if sample_rate != SAMPLE_RATE:
        clip = soxr.resample(clip, sample_rate, SAMPLE_RATE)
    contours = heard(clip)
    within = _audible(contours.loudness)
    bands = _mel_bands(clip)[:, within]
    parts = [
        _evenly(contour[within])
        for contour in (
            contours.loudness,
            contours.pitch,
            contours.periodicity,
            contours.brightness,
        )
    ]
    duration = np.log(bands.shape[1] * HOP / SAMPLE_RATE)
    return np.concatenate([*parts, bands.mean(axis=1), bands.std(axis=1), [duration]])


def contour_scores(queries: NDArray[np.floating], candidates: NDArray[np.floating]) -> Array:
    """Return how close each query's vector is to each candidate's.

    Each side is standardised by itself: a voice differs from a sound in ways that say nothing
    about which sound is meant. Each family of features (a contour, the mel bands, the duration)
    counts as much as any other, however many numbers it has.

    Args:
        queries: (Q, 4 * POINTS + 2 * BANDS + 1), from ``contour_features``.
        candidates: (N, 4 * POINTS + 2 * BANDS + 1).

    Returns:
        (Q, N), the negated squared distance: higher is closer.
    """
    left, right = _standardised(queries), _standardised(candidates)
    squared = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1)[None, :]
    return np.asarray(2.0 * left @ right.T - squared)


def _standardised(vectors: NDArray[np.floating]) -> Array:
    deviation = vectors.std(axis=0)
    weight = np.concatenate([np.full(size, size**-0.5) for size in FAMILIES])
    centred = vectors - vectors.mean(axis=0)
    return np.asarray(weight * centred / np.where(deviation > 1e-9, deviation, 1.0))


def _audible(loudness: Array) -> slice:
    """Return the frames from the first to the last within ``AUDIBLE`` dB of the loudest."""
    audible = np.flatnonzero(loudness > -AUDIBLE)
    return slice(audible[0], audible[-1] + 1) if len(audible) else slice(None)


def _evenly(contour: Array) -> Array:
    places = np.linspace(0, len(contour) - 1, POINTS)
    return np.interp(places, np.arange(len(contour)), contour)


def _mel_bands(clip: Array) -> Array:
    """Return the mel spectrogram in dB, 80 dB below its maximum at most, (BANDS, frames)."""
    padded = np.pad(clip, (WINDOW // 2, WINDOW))  # the frames of ``heard``
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    power = np.abs(fft.rfft(frames * np.hanning(WINDOW), axis=1)) ** 2
    bands = mel(sr=SAMPLE_RATE, n_fft=WINDOW, n_mels=BANDS) @ power.T
    return np.asarray(10.0 * np.log10(np.maximum(bands, max(bands.max() * 1e-8, 1e-12))))
