"""The mel spectrogram that aisfx's network was trained on."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vocalsketch.features.audible_mel import AudibleMel
from vocalsketch.features.front_end import decibels
from vocalsketch.features.mel import triangles

GAIN = 10_000.0  # log10(1 + 10,000 power)
HIGHEST = 9.457798957824707  # of all spectrograms that the network was trained on


@dataclass
class CompressedMel(AudibleMel):
    """Power in mel bands of a clip whose peak is 1, compressed to between 0 and about 1.

    Source: aisfx 0.1.2, by its librosa (Ma and Lerch, ISMIR 2022); the network itself was trained
    on Essentia's, which is alike. Bands are HTK's, each the mean of what it hears. Silence at both
    ends is cut as ``AudibleMel`` cuts it.

    Args:
        sample_rate: Of the waveforms, Hz.
        seconds: The most of a clip that is looked at.
        window: Samples in a window.
        hop_length: Samples between frames.
        bands: Number of mel bands.
        minimum_frequency: Lower end of the lowest band, Hz.
        maximum_frequency: Upper end of the highest band, Hz.
        top_db: Range below the maximum in which ``audible`` is looked for, dB.
        audible: As ``AudibleMel``'s; ``top_db`` or more cuts nothing.
        decay: As ``AudibleMel``'s.

    Raises:
        ConfigError: A parameter is out of range.
    """

    VERSION: ClassVar[int] = 1

    sample_rate: int = 44_100
    window: int = 2_048
    hop_length: int = 1_024
    bands: int = 96
    minimum_frequency: float = 0.0
    maximum_frequency: float = 22_050.0

    def inverted(self, features: Tensor, seed: int = 0) -> None:
        """Return no sound: there is no way back."""

    def spectrogram(self, waveforms: Tensor) -> Tensor:
        """Return (clips, bands, frames), 0 of silence."""
        peaks = waveforms.abs().amax(1, keepdim=True)
        power = self._power(waveforms / torch.where(peaks > 0, peaks, torch.ones_like(peaks)))
        compressed = (1 + GAIN * power).log10() / HIGHEST
        return self._trimmed(compressed, decibels(power, self.top_db))

    @property
    def _points(self) -> int:
        return self.window

    def edges(self) -> NDArray[np.float64]:
        """Return where bands begin, peak and end, Hz, (bands + 2,)."""
        lowest, highest = np.log1p(np.array([self.minimum_frequency, self.maximum_frequency]) / 700)
        edges: NDArray[np.float64] = 700 * np.expm1(np.linspace(lowest, highest, self.bands + 2))
        return edges

    def _filters(self) -> NDArray[np.float64]:
        heard = triangles(np.fft.rfftfreq(self.window, 1 / self.sample_rate), self.edges())
        sums = heard.sum(1)
        return (heard / np.where(sums > 0, sums, 1)[:, None]).T
