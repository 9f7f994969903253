"""What a voice hears, once more by numpy and scipy: what the program's is held to."""

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from vocalsketch.voice.listening import (
    FLOOR,
    HIGHEST,
    HOP,
    LOWEST,
    SAMPLE_RATE,
    WINDOW,
    Frames,
    Heard,
)


def heard(waveform: NDArray[np.floating]) -> Heard:
    """Return the contours of a waveform, (samples,) at 16 kHz; those of silence are flat."""
    padded = np.pad(np.asarray(waveform, dtype=float), (WINDOW // 2, WINDOW))
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    frames = (frames - frames.mean(axis=1, keepdims=True)) * np.hanning(WINDOW)
    spectrum = np.abs(fft.rfft(frames, 2 * WINDOW, axis=1)) ** 2
    power = spectrum.sum(axis=1)
    loudness = _decibels(power)
    audible = loudness > FLOOR + 5.0
    pitch, periodicity = _periodic(spectrum)
    periodicity = ndimage.median_filter(np.where(audible, periodicity, 0.0), 3)
    return Heard(
        loudness=loudness,
        pitch=_bridged(ndimage.median_filter(pitch, 5), periodicity > 0.5),
        periodicity=periodicity,
        brightness=_bridged(_centroid(spectrum, power), audible),
    )


def _decibels(power: Frames) -> Frames:
    loudest = power.max()
    if loudest <= 0.0:
        return np.full(len(power), FLOOR)
    return np.asarray(10.0 * np.log10(np.maximum(power / loudest, 10.0 ** (FLOOR / 10.0))))


def _periodic(spectrum: Frames) -> tuple[Frames, Frames]:
    """Return pitch (octaves above 55 Hz) and periodicity of each frame, by autocorrelation."""
    window = fft.irfft(np.abs(fft.rfft(np.hanning(WINDOW), 2 * WINDOW)) ** 2)
    shortest, longest = int(SAMPLE_RATE / HIGHEST), int(SAMPLE_RATE / LOWEST)
    correlation = fft.irfft(spectrum, axis=1)[:, : longest + 2]
    correlation /= np.maximum(correlation[:, :1], 1e-12)
    # A windowed signal's own correlation falls with the lag: the window's share is divided out.
    correlation /= window[: longest + 2] / window[0]
    peak = (correlation[:, 1:-1] > correlation[:, :-2]) & (
        correlation[:, 1:-1] >= correlation[:, 2:]
    )
    heights = np.where(peak, correlation[:, 1:-1], 0.0)[:, shortest - 1 :]
    # Multiples of the period are as high: each octave down has to be higher by a little.
    lags = np.arange(shortest, shortest + heights.shape[1])
    lag = (heights - 0.04 * np.log2(lags)).argmax(axis=1) + shortest
    highest = heights.max(axis=1)
    left, here, right = (correlation[np.arange(len(lag)), lag + step] for step in (-1, 0, 1))
    bend = np.minimum(left - 2.0 * here + right, -1e-9)
    exact = lag + np.clip(0.5 * (left - right) / bend, -0.5, 0.5)
    return np.log2(SAMPLE_RATE / exact / 55.0), np.clip(highest, 0.0, 1.0)


def _centroid(spectrum: Frames, power: Frames) -> Frames:
    """Return each frame's centre of power on an axis of octaves above 55 Hz."""
    octaves = np.log2(np.maximum(fft.rfftfreq(2 * WINDOW, 1 / SAMPLE_RATE), 55.0) / 55.0)
    return np.asarray(spectrum @ octaves / np.maximum(power, 1e-12))


def _bridged(contour: Frames, known: NDArray[np.bool_]) -> Frames:
    """Return ``contour`` with what is not ``known`` drawn between known neighbours, smoothed."""
    if not known.any():
        return np.zeros(len(contour))
    places = np.arange(len(contour))
    return np.asarray(ndimage.uniform_filter1d(np.interp(places, places[known], contour[known]), 3))
