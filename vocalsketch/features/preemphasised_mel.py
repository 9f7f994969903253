"""The log-mel spectrogram that EfficientAT's networks were trained on."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from vocalsketch.errors import ConfigError
from vocalsketch.features.front_end import squared
from vocalsketch.features.mel import MelFrontEnd, triangles

PREEMPHASIS = 0.97
FLOOR, CENTRE, SCALE = 1e-5, 4.5, 5.0  # (log(power + 1e-5) + 4.5) / 5


@dataclass
class PreemphasisedMel(MelFrontEnd):
    """Power in mel bands after pre-emphasis, in logarithms, on a fixed scale.

    Source: Schmid, Koutini and Widmer, ICASSP 2023, arXiv:2211.04772. Frames are centred windows;
    bands are triangles on Kaldi's mel scale, of equal height.

    Args:
        sample_rate: Of the waveforms, Hz.
        seconds: The most of a clip that is looked at.
        window: Samples in a window.
        hop_length: Samples between frames.
        points: Of the Fourier transform.
        bands: Number of mel bands.
        minimum_frequency: Lower end of the lowest band, Hz.
        maximum_frequency: Upper end of the highest band, Hz.

    Raises:
        ConfigError: A parameter is out of range.
    """

    VERSION: ClassVar[int] = 1
    standardise = False
    absolute = True

    sample_rate: int = 32_000
    seconds: float = 10.0
    window: int = 800
    hop_length: int = 320
    points: int = 1_024
    bands: int = 128
    minimum_frequency: float = 0.0
    maximum_frequency: float = 15_000.0

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

    def frequencies(self) -> NDArray[np.float64]:
        """Return the centre of each band, Hz, (bands,)."""
        centres: NDArray[np.float64] = 700 * np.expm1(self._edges()[1:-1] / 1_127)
        return centres

    def spectrogram(self, waveforms: Tensor) -> Tensor:
        """Return (clips, bands, frames), -1.4 of silence."""
        emphasised = waveforms[:, 1:] - PREEMPHASIS * waveforms[:, :-1]
        half = self.window // 2
        padded = functional.pad(emphasised[:, None], (half, half), mode="reflect")[:, 0]
        windows = padded.unfold(1, self.window, self.hop_length)
        # the window lies at one end of the transform, where a power does not show it
        windows = windows * self.constant("hann", self._hann, waveforms)
        power = squared(torch.fft.rfft(windows, self.points))
        bands = power @ self.constant("filters", self._filters, waveforms)
        levels: Tensor = (bands + FLOOR).log().transpose(1, 2)
        return (levels + CENTRE) / SCALE

    def _hann(self) -> NDArray[np.float64]:
        return np.hanning(self.window)

    def _edges(self) -> NDArray[np.float64]:
        lowest, highest = _mel(np.array([self.minimum_frequency, self.maximum_frequency]))
        return np.linspace(lowest, highest, self.bands + 2)

    def _filters(self) -> NDArray[np.float64]:
        """Return triangles over mel, (points // 2 + 1, bands)."""
        mel = _mel(np.arange(self.points // 2 + 1) * self.sample_rate / self.points)
        return triangles(mel, self._edges()).T


def _mel(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
    mel: NDArray[np.float64] = 1_127 * np.log1p(hertz / 700)
    return mel
