"""Contours and averages of a clip: what is compared where nothing is learned."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from scipy import fft
from torch import Tensor

from vocalsketch.features.front_end import FrontEnd, check_positive
from vocalsketch.features.level import SILENCE
from vocalsketch.features.log_mel import mel_filters
from vocalsketch.voice.listening import HOP, SAMPLE_RATE, WINDOW, heard

POINTS = 20  # of each contour, whatever the clip's length
BANDS = 40
FAMILIES = POINTS, POINTS, POINTS, POINTS, 2 * BANDS, 1  # sizes of the vector's parts
AUDIBLE = 30.0  # dB below the loudest frame: what is softer at either end is silence

Array = NDArray[np.float64]


class Bands(NamedTuple):
    """Of the averages."""

    sample_rate: int = SAMPLE_RATE
    window: int = WINDOW
    bands: int = BANDS
    minimum_frequency: float = 0.0
    maximum_frequency: float = SAMPLE_RATE / 2


@dataclass
class ContourFeatures(FrontEnd):
    """``contour_features`` of each clip, one under the other: bins without time.

    Args:
        sample_rate: Of the waveforms, Hz.
        seconds: The most of a clip that is looked at; silence after its end makes no difference.
    """

    VERSION: ClassVar[int] = 2
    standardise = False  # not of one clip: a family of features is compared with others' alone
    trim = SILENCE
    absolute = True  # its mel bands

    sample_rate: int = SAMPLE_RATE
    seconds: float = 10.0

    def __post_init__(self) -> None:
        check_positive(self, "sample_rate", "seconds")

    @property
    def shape(self) -> tuple[int, int]:
        """(numbers, 1)."""
        return sum(FAMILIES), 1

    def spectrogram(self, waveforms: Tensor) -> Tensor:
        """Return (clips, numbers, 1); computed on the CPU, without gradients."""
        clips = waveforms.detach().cpu().numpy()
        features = [contour_features(np.trim_zeros(clip, "b"), self.sample_rate) for clip in clips]
        made = np.array(features, dtype=np.float32).reshape(-1, *self.shape)
        return torch.from_numpy(made).to(waveforms.device)


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
    bands = mel_filters(Bands()) @ power.T
    return np.asarray(10.0 * np.log10(np.maximum(bands, max(bands.max() * 1e-8, 1e-12))))
