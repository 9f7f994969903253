"""Mel bands: TL-IMINET's views of a clip, and that of EfficientAT's networks."""

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from vocalsketch.errors import ConfigError
from vocalsketch.features.front_end import FrontEnd, check_positive, decibels, squared

LINEAR_HERTZ_PER_MEL = 200 / 3  # Slaney's scale is linear up to 1 kHz, which is 15 mel
LOGARITHMIC_STEP = np.log(6.4) / 27  # and logarithmic above it: 27 mel span a factor of 6.4
BANDS_AT_ONCE = 32  # of the matrix of all filters nine tenths are zeros
PREEMPHASIS = 0.97
FLOOR, CENTRE, SCALE = 1e-5, 4.5, 5.0  # (log(power + 1e-5) + 4.5) / 5

Array = NDArray[np.float64]


def slaney_mel(hertz: Array) -> Array:
    """Return places on Slaney's scale."""
    above = 15 + np.log(np.maximum(hertz, 1e-9) / 1000) / LOGARITHMIC_STEP
    return np.where(hertz < 1000, hertz / LINEAR_HERTZ_PER_MEL, above)


def slaney_hertz(mel: Array) -> Array:
    """Return what ``slaney_mel`` came from."""
    above = 1000 * np.exp((mel - 15) * LOGARITHMIC_STEP)
    return np.where(mel < 15, mel * LINEAR_HERTZ_PER_MEL, above)


def htk_mel(hertz: NDArray[Any]) -> Array:
    """Return places on HTK's scale, which is Kaldi's too."""
    return np.asarray(1_127 * np.log1p(hertz / 700))


def htk_hertz(mel: Array) -> Array:
    """Return what ``htk_mel`` came from."""
    return np.asarray(700 * np.expm1(mel / 1_127))


@dataclass
class MelFrontEnd(FrontEnd):
    """A front end whose bins are triangular bands on a mel scale; Slaney's, by default.

    Args:
        sample_rate: Of the waveforms, Hz.
        seconds: The most of a clip that is looked at.
        window: Samples in a window.
        bands: Number of mel bands.
        minimum_frequency: Lower end of the lowest band, Hz.
        maximum_frequency: Upper end of the highest band, Hz.
    """

    HTK: ClassVar[bool] = False  # whether the scale is HTK's
    PADDED: ClassVar[int] = 1  # windows in a transform, where it has no ``points`` of its own

    sample_rate: int = 16_000
    seconds: float = 4.0
    window: int = 512
    bands: int = 64
    minimum_frequency: float = 0.0
    maximum_frequency: float = 8_000.0

    def __post_init__(self) -> None:
        names = [field.name for field in fields(self)]
        check_positive(self, *(name for name in names if not name.endswith("imum_frequency")))
        lowest, highest = self.minimum_frequency, self.maximum_frequency
        if not 0 <= lowest < highest <= self.sample_rate / 2:
            raise ConfigError(
                f"{type(self).__name__}: bands from {lowest} to {highest} Hz: they must rise, "
                f"within 0 and half of the sample rate {self.sample_rate} Hz."
            )

    def edges(self) -> Array:
        """Return where bands begin, peak and end, Hz, (bands + 2,)."""
        to_mel, to_hertz = (htk_mel, htk_hertz) if self.HTK else (slaney_mel, slaney_hertz)
        lowest, highest = to_mel(np.array([self.minimum_frequency, self.maximum_frequency]))
        return to_hertz(np.linspace(lowest, highest, self.bands + 2))

    def frequencies(self) -> Array:
        """Return the centre of each band, Hz, (bands,)."""
        return self.edges()[1:-1]

    def filters(self) -> Array:
        """Return triangles of equal area over the transform's bins, (bands, points // 2 + 1).

        The bins of an odd number of points end short of half the sample rate, which is why the
        frequencies are the transform's own. ``librosa.filters.mel`` gives the same matrix;
        importing it takes longer than everything else that stands between a command and its first
        result.
        """
        edges = self.edges()
        frequencies = np.fft.rfftfreq(self.transform_points, 1 / self.sample_rate)
        return triangles(frequencies, edges) * 2 / (edges[2:] - edges[:-2])[:, None]

    @property
    def transform_points(self) -> int:
        """Points of the Fourier transform, at one end of which the window lies."""
        return int(getattr(self, "points", self.window * self.PADDED))

    def hann(self) -> Array:
        """Return the periodic window, (window,)."""
        return np.hanning(self.window + 1)[:-1]

    def power(self, padded: Tensor, count: int | None = None) -> Tensor:
        """Return the power of the first windows of waveforms, (clips, frames, points // 2 + 1)."""
        windows = padded.unfold(1, self.window, round(self.hop))[:, :count]
        windows = windows * self.constant("analysis", self.hann, padded)
        return squared(torch.fft.rfft(windows, self.transform_points))

    def band_power(self, padded: Tensor, count: int | None = None) -> Tensor:
        """Return likewise the power in bands, (clips, bands, frames)."""
        filters = self.constant("triangles", lambda: self.filters().T, padded)
        return (self.power(padded, count) @ filters).transpose(1, 2)

    def inverted(self, features: Tensor, seed: int = 0) -> NDArray[np.float32] | None:
        """Return a sound whose standardised dB come close; phases are sought from the seed's."""
        top_db: float | None = getattr(self, "top_db", None)
        if top_db is None:
            return None
        from vocalsketch.features.inversion import from_mel, magnitudes

        heard, hop = magnitudes(features, top_db), round(self.hop)
        return from_mel(heard, self.filters(), self.transform_points, self.window, hop, seed)


def triangles(places: NDArray[Any], edges: Array) -> Array:
    """Return what places (places,) weigh in triangles, (bands, places).

    They are 1 at each inner one of the rising edges, (bands + 2,), and 0 at its neighbours.
    """
    lower, centre, upper = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (places - lower) / (centre - lower), (upper - places) / (upper - centre)
    weights: Array = np.minimum(rising, falling).clip(min=0)
    return weights


@dataclass
class LogMel(MelFrontEnd):
    """Power in mel bands, in dB relative to the clip's maximum.

    The Hann windows do not overlap and are centred, with reflected ends; the bands are Slaney's,
    of equal area. The same as ``librosa.power_to_db(librosa.feature.melspectrogram(y, n_fft=window,
    hop_length=window, pad_mode="reflect"), ref=np.max)``, cut to its first frames.

    Args:
        frames: Frames that are kept, the first ones; dB is taken before, on the whole clip.
        top_db: Range below the maximum that is kept, dB.
    """

    VERSION: ClassVar[int] = 1

    frames: int = 128
    top_db: float = 80.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.frames <= 1 + self.samples // self.window:
            raise ConfigError(
                f"LogMel: frames is {self.frames}: {self.seconds} s hold between 1 and "
                f"{1 + self.samples // self.window}."
            )

    @property
    def shape(self) -> tuple[int, int]:
        """(bands, frames)."""
        return self.bands, self.frames

    @property
    def hop(self) -> float:
        """Samples from one frame to the next: windows do not overlap."""
        return self.window

    def spectrogram(self, waveforms: Tensor) -> Tensor:
        """Return dB between 0, the clip's maximum, and -``top_db``: (clips, bands, frames)."""
        reach = self.window // 2
        before, after = waveforms[:, 1 : reach + 1], waveforms[:, -reach - 1 : -1]
        power = self.power(torch.cat([before.flip(1), waveforms, after.flip(1)], dim=1)).mT
        bands = [
            self.constant(f"filters{number}", part.copy, waveforms) @ power[:, heard]
            for number, (heard, part) in enumerate(self._filters)
        ]
        return decibels(torch.cat(bands, dim=1), self.top_db)[..., : self.frames]

    @cached_property
    def _filters(self) -> list[tuple[slice, Array]]:
        """Of neighbouring bands the frequencies that they hear, and their part of the filters."""
        filters, parts = self.filters(), []
        for start in range(0, len(filters), BANDS_AT_ONCE):
            part = filters[start : start + BANDS_AT_ONCE]
            hearing = np.flatnonzero(part.any(axis=0))
            # a band narrower than the transform's bins hears nothing
            heard = slice(hearing[0], hearing[-1] + 1) if len(hearing) else slice(0, 1)
            parts.append((heard, part[:, heard]))
        return parts


@dataclass
class ImitationLogMel(LogMel):
    """39 bands up to 5 kHz, 482 frames of 8.33 ms: the imitation tower's input (section III-B)."""

    window: int = 133
    bands: int = 39
    maximum_frequency: float = 5_000.0
    frames: int = 482


@dataclass
class RecordingLogMel(LogMel):
    """128 bands up to 22.05 kHz, 128 frames of 23 ms: the recording tower's input (section III-B).

    4 s make 173 frames; the authors kept the first 128, 2.97 s.
    """

    sample_rate: int = 44_100
    window: int = 1024
    bands: int = 128
    maximum_frequency: float = 22_050.0


@dataclass
class PreemphasisedMel(MelFrontEnd):
    """Power in mel bands after pre-emphasis, in logarithms, on a fixed scale.

    Source: Schmid, Koutini and Widmer, ICASSP 2023, arXiv:2211.04772. Frames are centred windows;
    bands are triangles on Kaldi's mel scale, of equal height.

    Args:
        hop_length: Samples between frames.
        points: Of the Fourier transform.
    """

    VERSION: ClassVar[int] = 1
    HTK = True
    standardise = False
    absolute = True

    sample_rate: int = 32_000
    seconds: float = 10.0
    window: int = 800
    bands: int = 128
    maximum_frequency: float = 15_000.0
    hop_length: int = 320
    points: int = 1_024

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.window > self.points:
            raise ConfigError(
                f"PreemphasisedMel: points is {self.points}: give at least the window, "
                f"{self.window}."
            )

    @property
    def shape(self) -> tuple[int, int]:
        """(bands, frames)."""
        return self.bands, (self.samples - 2) // self.hop_length + 1

    def spectrogram(self, waveforms: Tensor) -> Tensor:
        """Return (clips, bands, frames), -1.4 of silence."""
        emphasised = waveforms[:, 1:] - PREEMPHASIS * waveforms[:, :-1]
        half = self.window // 2
        padded = functional.pad(emphasised[:, None], (half, half), mode="reflect")[:, 0]
        return ((self.band_power(padded) + FLOOR).log() + CENTRE) / SCALE

    def hann(self) -> Array:
        """Return the symmetric window, (window,)."""
        return np.hanning(self.window)

    def filters(self) -> Array:
        """Return triangles over mel, (bands, points // 2 + 1)."""
        frequencies = np.fft.rfftfreq(self.points, 1 / self.sample_rate)
        return triangles(htk_mel(frequencies), htk_mel(self.edges()))
