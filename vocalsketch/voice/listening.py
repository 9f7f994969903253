"""What is heard in a sound, frame by frame: loudness, pitch, periodicity, brightness."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

SAMPLE_RATE = 16_000  # hz
HOP = 160  # samples: 10 ms
WINDOW = 640  # samples: 40 ms, two periods of the lowest pitch and more
LOWEST, HIGHEST = 60.0, 2_000.0  # hz, of the pitches looked for
SHORTEST, LONGEST = int(SAMPLE_RATE / HIGHEST), int(SAMPLE_RATE / LOWEST)  # periods, samples
FLOOR = -60.0  # dB below the loudest frame: anything softer counts as this

Frames = NDArray[np.float64]
Constant = Callable[[str, Callable[[], Frames], Tensor], Tensor]


@dataclass(frozen=True)
class Heard:
    """Contours of a sound, each (frames,), ``HOP / SAMPLE_RATE`` seconds apart."""

    loudness: Frames  # dB below the loudest frame, from ``FLOOR`` to 0
    pitch: Frames  # octaves above 55 Hz; where nothing is periodic, drawn between its neighbours
    periodicity: Frames  # of the autocorrelation's peak, 0 (noise, silence) to 1 (a steady tone)
    brightness: Frames  # the spectrum's centroid, octaves above 55 Hz

    def changed(self, change: Callable[[Frames], Frames]) -> "Heard":
        """Return the sound with each of its contours changed."""
        return Heard(*(change(each) for each in vars(self).values()))

    def at(self, places: Frames, widths: Sequence[float]) -> "Heard":
        """Return the contours at places between frames, each smoothed over a width of frames."""
        width, frames = iter(widths), np.arange(len(self.pitch))
        return self.changed(
            lambda each: ndimage.gaussian_filter1d(np.interp(places, frames, each), next(width))
        )


def heard(waveform: NDArray[np.floating]) -> Heard:
    """Return the contours of a waveform, (samples,) at 16 kHz; those of silence are flat."""
    frames = framed(torch.from_numpy(np.array(waveform, dtype=np.float64))[None])
    count = torch.tensor([[frames.shape[1]]])
    found = contours(frames, count, lambda _, make, __: torch.from_numpy(make()))
    return Heard(*(each[0].numpy() for each in found))


def framed(waveforms: Tensor) -> Tensor:
    """Return the centred frames of (clips, samples), (clips, frames, WINDOW)."""
    return functional.pad(waveforms, (WINDOW // 2, WINDOW)).unfold(1, WINDOW, HOP)


def contours(frames: Tensor, count: Tensor, constant: Constant) -> list[Tensor]:
    """Return loudness, pitch, periodicity and brightness as of ``Heard``, (clips, frames) each.

    Args:
        frames: Of waveforms at 16 kHz, (clips, frames, WINDOW).
        count: How many of them a clip has, (clips, 1); what follows is silence.
        constant: Returns an array, by its name, what makes it, and a tensor of its device.
    """
    window = constant("window", lambda: np.hanning(WINDOW), frames)
    centred = frames - frames.mean(2, keepdim=True)
    transformed = torch.fft.rfft(centred * window, n=2 * WINDOW)
    spectrum = transformed.real.square() + transformed.imag.square()
    power = spectrum.sum(2)
    loudest = power.amax(1, keepdim=True).clamp(min=1e-30)
    loudness = 10 * (power / loudest).clamp(min=10 ** (FLOOR / 10)).log10()
    audible = loudness > FLOOR + 5
    pitch, periodicity = _periodic(spectrum @ constant("correlation", _correlation, spectrum))
    periodicity = _neighbours(periodicity * audible, count, 3).sort(2).values[..., 1]
    pitch = _neighbours(pitch, count, 5).sort(2).values[..., 2]
    hertz = np.fft.rfftfreq(2 * WINDOW, 1 / SAMPLE_RATE)
    octaves = constant("octaves", lambda: np.log2(np.maximum(hertz, 55.0) / 55.0), spectrum)
    centroid = (spectrum * octaves).sum(2) / power.clamp(min=1e-12)
    pitch = _bridged(pitch, periodicity > 0.5, count)
    return [loudness, pitch, periodicity, _bridged(centroid, audible, count)]


def _periodic(correlation: Tensor) -> tuple[Tensor, Tensor]:
    """Return pitch (octaves above 55 Hz) and periodicity of each frame's autocorrelation."""
    correlation = correlation / correlation[..., :1].clamp(min=1e-12)
    middle, after = correlation[..., 1:-1], correlation[..., 2:]
    peak = (middle > correlation[..., :-2]) & (middle >= after)
    heights = torch.where(peak, middle, 0.0)[..., SHORTEST - 1 :]
    # Multiples of the period are as high: each octave down has to be higher by a little.
    lags = torch.arange(SHORTEST, LONGEST + 1, device=correlation.device)
    lag = (heights - 0.04 * lags.log2()).argmax(2, keepdim=True) + SHORTEST
    left, here, right = (correlation.gather(2, lag + step) for step in (-1, 0, 1))
    bend = (left - 2 * here + right).clamp(max=-1e-9)
    exact = lag + (0.5 * (left - right) / bend).clamp(-0.5, 0.5)
    return (SAMPLE_RATE / 55 / exact[..., 0]).log2(), heights.amax(2).clamp(0, 1)


@cache
def _correlation() -> NDArray[np.float64]:
    """Return what maps power spectra to autocorrelations without the window's, (bins, lags)."""
    bins = WINDOW + 1
    both = np.where(np.isin(np.arange(bins), (0, WINDOW)), 1.0, 2.0)[:, None]  # and its mirror
    cosines = both * np.cos(np.pi / WINDOW * np.outer(np.arange(bins), np.arange(LONGEST + 2)))
    window = np.abs(np.fft.rfft(np.hanning(WINDOW), 2 * WINDOW)) ** 2 @ cosines
    return np.asarray(cosines / (2 * WINDOW) / (window / window[0]))


def _neighbours(contour: Tensor, count: Tensor, width: int) -> Tensor:
    """Return each frame with those around it, mirrored at a clip's ends, (clips, frames, width)."""
    around = torch.arange(width, device=contour.device) - width // 2
    place = torch.arange(contour.shape[1], device=contour.device)[:, None] + around
    last = count.unsqueeze(2) - 1
    place = torch.where(place < 0, -1 - place, place)
    place = torch.where(place > last, 2 * last + 1 - place, place).clamp(min=0)
    return contour.gather(1, place.flatten(1)).reshape(place.shape)


def _bridged(contour: Tensor, known: Tensor, count: Tensor) -> Tensor:
    """Return ``contour`` with what is not ``known`` drawn between known neighbours, smoothed."""
    frames = contour.shape[1]
    place = torch.arange(frames, device=contour.device).expand_as(contour)
    known = known & (place < count)
    before = _running_maximum(torch.where(known, place, -1))
    after = frames - 1 - _running_maximum(torch.where(known.flip(1), place, -1)).flip(1)
    left = torch.where(before < 0, after.clamp(max=frames - 1), before)
    right = torch.where(after < frames, after, left)
    share = (place - left).to(contour.dtype) / (right - left).clamp(min=1)
    drawn = torch.lerp(contour.gather(1, left), contour.gather(1, right), share.clamp(0, 1))
    return _neighbours(drawn, count, 3).mean(2) * known.any(1, keepdim=True)


def _running_maximum(values: Tensor) -> Tensor:
    """Return the maximum of each value, at least -1, and all before it: ``cummax``, for ONNX."""
    step = 1
    while step < values.shape[1]:
        values = torch.maximum(values, functional.pad(values, (step, 0), value=-1)[:, :-step])
        step *= 2
    return values
