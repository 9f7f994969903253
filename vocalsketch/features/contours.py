"""Contours and averages of a clip: what is compared where nothing is learned."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from vocalsketch.features.audible_mel import AudibleMel
from vocalsketch.features.audio import resampled
from vocalsketch.features.front_end import FrontEnd, squared
from vocalsketch.features.level import SILENCE
from vocalsketch.voice.listening import FLOOR, HIGHEST, HOP, LOWEST, SAMPLE_RATE, WINDOW

POINTS = 20  # of each contour, whatever the clip's length
BANDS = 40
FAMILIES = POINTS, POINTS, POINTS, POINTS, 2 * BANDS, 1  # sizes of the vector's parts
AUDIBLE = 30.0  # dB below the loudest frame: what is softer at either end is silence
SHORTEST, LONGEST = int(SAMPLE_RATE / HIGHEST), int(SAMPLE_RATE / LOWEST)  # periods, samples


@dataclass
class ContourFeatures(FrontEnd):
    """Contours and averages of each clip as one vector: bins without time.

    Loudness, pitch, periodicity and brightness as ``voice.listening`` hears them, each at
    ``POINTS`` equal distances in time from the first to the last audible frame; mean and deviation
    there of ``BANDS`` mel bands in dB; log duration.

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

    @property
    def shape(self) -> tuple[int, int]:
        """(numbers, 1)."""
        return sum(FAMILIES), 1

    def spectrogram(self, waveforms: Tensor) -> Tensor:
        """Return (clips, numbers, 1)."""
        if self.sample_rate != SAMPLE_RATE:
            clips = waveforms.detach().cpu().numpy()
            heard = np.stack([resampled(clip, self.sample_rate, SAMPLE_RATE) for clip in clips])
            waveforms = torch.from_numpy(heard).to(waveforms.device)
        places = torch.arange(1, waveforms.shape[1] + 1, device=waveforms.device)
        ends = torch.where(waveforms != 0, places, 0).amax(1, keepdim=True)
        if not torch.compiler.is_exporting():  # to a graph that cannot know
            waveforms = waveforms[:, : int(ends.max())]
        frames = functional.pad(waveforms, (WINDOW // 2, WINDOW)).unfold(1, WINDOW, HOP)
        count = (ends + WINDOW // 2) // HOP + 1  # (clips, 1), of frames that a clip has
        window = self.constant("window", lambda: np.hanning(WINDOW), waveforms)
        centred = frames - frames.mean(2, keepdim=True)
        spectrum = squared(torch.fft.rfft(centred * window, n=2 * WINDOW))
        contours = self._contours(spectrum, count)
        first, length = _audible(contours[0], count)
        steps = torch.arange(POINTS, device=waveforms.device) / (POINTS - 1)
        points = [_between(each, first + (length - 1) * steps) for each in contours]
        filters = self.constant("filters", _filters, waveforms)
        bands = _decibels(squared(torch.fft.rfft(frames * window, n=WINDOW)) @ filters)
        averages = _averages(bands, first, length)
        duration = (length * (HOP / SAMPLE_RATE)).log()
        return torch.cat([*points, *averages, duration], 1).unsqueeze(2)

    def _contours(self, spectrum: Tensor, count: Tensor) -> list[Tensor]:
        """Return loudness, pitch, periodicity and brightness, (clips, frames) each."""
        power = spectrum.sum(2)
        loudest = power.amax(1, keepdim=True).clamp(min=1e-30)
        loudness = 10 * (power / loudest).clamp(min=10 ** (FLOOR / 10)).log10()
        audible = loudness > FLOOR + 5
        pitch, periodicity = self._periodic(spectrum)
        periodicity = _neighbours(periodicity * audible, count, 3).sort(2).values[..., 1]
        pitch = _neighbours(pitch, count, 5).sort(2).values[..., 2]
        octaves = self.constant("octaves", _octaves, spectrum)
        brightness = (spectrum * octaves).sum(2) / power.clamp(min=1e-12)
        pitch = _bridged(pitch, periodicity > 0.5, count)
        return [loudness, pitch, periodicity, _bridged(brightness, audible, count)]

    def _periodic(self, spectrum: Tensor) -> tuple[Tensor, Tensor]:
        """Return pitch (octaves above 55 Hz) and periodicity of each frame, by autocorrelation."""
        correlation = spectrum @ self.constant("correlation", _correlation, spectrum)
        correlation = correlation / correlation[..., :1].clamp(min=1e-12)
        middle, after = correlation[..., 1:-1], correlation[..., 2:]
        peak = (middle > correlation[..., :-2]) & (middle >= after)
        heights = torch.where(peak, middle, 0.0)[..., SHORTEST - 1 :]
        # Multiples of the period are as high: each octave down has to be higher by a little.
        lags = torch.arange(SHORTEST, LONGEST + 1, device=spectrum.device)
        lag = (heights - 0.04 * lags.log2()).argmax(2, keepdim=True) + SHORTEST
        left, here, right = (correlation.gather(2, lag + step) for step in (-1, 0, 1))
        bend = (left - 2 * here + right).clamp(max=-1e-9)
        exact = lag + (0.5 * (left - right) / bend).clamp(-0.5, 0.5)
        return (SAMPLE_RATE / 55 / exact[..., 0]).log2(), heights.amax(2).clamp(0, 1)


def _correlation() -> NDArray[np.float64]:
    """Return what maps power spectra to autocorrelations, (bins, lags).

    A windowed signal's own correlation falls with the lag: the window's share is divided out.
    """
    bins = WINDOW + 1
    both = np.where(np.isin(np.arange(bins), (0, WINDOW)), 1.0, 2.0)[:, None]  # and its mirror
    cosines = both * np.cos(np.pi / WINDOW * np.outer(np.arange(bins), np.arange(LONGEST + 2)))
    window = np.abs(np.fft.rfft(np.hanning(WINDOW), 2 * WINDOW)) ** 2 @ cosines
    return np.asarray(cosines / (2 * WINDOW) / (window / window[0]))


def _octaves() -> NDArray[np.float64]:
    frequencies = np.fft.rfftfreq(2 * WINDOW, 1 / SAMPLE_RATE)
    return np.asarray(np.log2(np.maximum(frequencies, 55.0) / 55.0))


def _filters() -> NDArray[np.float64]:
    return AudibleMel(window=WINDOW // 2, bands=BANDS, minimum_frequency=0.0).filters().T


def _decibels(bands: Tensor) -> Tensor:
    """Return (clips, frames, bands) in dB, 80 dB below each clip's maximum at most."""
    floor = (1e-8 * bands.amax((1, 2), keepdim=True)).clamp(min=1e-12)
    return 10 * torch.maximum(bands, floor).log10()


def _audible(loudness: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    """Return the first frame within ``AUDIBLE`` dB of the loudest, and how many up to the last.

    Of silence, which has none, all frames.
    """
    heard = (loudness > -AUDIBLE).float()
    first = heard.argmax(1, keepdim=True)
    length = loudness.shape[1] - heard.flip(1).argmax(1, keepdim=True) - first
    return first, torch.where(heard.amax(1, keepdim=True) > 0, length, count)


def _averages(bands: Tensor, first: Tensor, length: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and deviation of (clips, frames, bands) over some frames, (clips, bands) each."""
    place = torch.arange(bands.shape[1], device=bands.device)
    within = ((place >= first) & (place < first + length)).unsqueeze(2)
    mean = (bands * within).sum(1) / length
    squares = (bands - mean.unsqueeze(1)).square() * within
    return mean, (squares.sum(1) / length).sqrt()


def _neighbours(contour: Tensor, count: Tensor, width: int) -> Tensor:
    """Return each frame with those around it, mirrored at a clip's ends, (clips, frames, width)."""
    around = torch.arange(width, device=contour.device) - width // 2
    place = torch.arange(contour.shape[1], device=contour.device)[:, None] + around
    last = count.unsqueeze(2) - 1
    place = torch.where(place < 0, -1 - place, place)
    place = torch.where(place > last, 2 * last + 1 - place, place).clamp(min=0)
    return contour.gather(1, place.flatten(1)).reshape(place.shape)


def _between(contour: Tensor, places: Tensor) -> Tensor:
    """Return what lies at places between frames, on the line from one frame to the next."""
    before = places.floor().clamp(max=contour.shape[1] - 2)
    low, high = (contour.gather(1, before.long() + step) for step in (0, 1))
    return torch.lerp(low, high, places - before)


def _bridged(contour: Tensor, known: Tensor, count: Tensor) -> Tensor:
    """Return ``contour`` with what is not ``known`` drawn between known neighbours, smoothed."""
    frames = contour.shape[1]
    place = torch.arange(frames, device=contour.device).expand_as(contour)
    known = known & (place < count)
    before = _running_maximum(torch.where(known, place, -1))
    after = frames - 1 - _running_maximum(torch.where(known.flip(1), place, -1)).flip(1)
    left = torch.where(before < 0, after.clamp(max=frames - 1), before)
    right = torch.where(after < frames, after, left)
    share = (place - left) / (right - left).clamp(min=1)
    drawn = torch.lerp(contour.gather(1, left), contour.gather(1, right), share.clamp(0, 1))
    return _neighbours(drawn, count, 3).mean(2) * known.any(1, keepdim=True)


def _running_maximum(values: Tensor) -> Tensor:
    """Return the maximum of each value, at least -1, and all before it: ``cummax``, for ONNX."""
    step = 1
    while step < values.shape[1]:
        values = torch.maximum(values, functional.pad(values, (step, 0), value=-1)[:, :-step])
        step *= 2
    return values
