"""The constant-Q transform: IMINET's and IMISOUND's view of a clip."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vocalsketch.errors import ConfigError
from vocalsketch.features.front_end import FrontEnd, check_positive, decibels, squared

KERNEL_FLOOR = 1e-4  # -80 dB: spectra end where all kernels stay below this part of their peak


@dataclass
class CQT(FrontEnd):
    """Constant-Q magnitudes of a zero-padded clip; the frames are centred.

    With the defaults, section III-A of the paper (https://doi.org/10.1109/TASLP.2018.2868428):
    6 octaves from 50 Hz, 12 bins each, a hop of 26.25 ms, 129 frames.

    The definition is librosa's (``librosa.cqt`` with its defaults), without the approximations
    that it makes for speed: bin k of frame t is the product of the waveform with a complex
    exponential under a periodic Hann window of Q * sample_rate / f_k samples centred on the frame,
    scaled to keep the energy of white noise equal in all bins.

    Args:
        sample_rate: Of the waveforms, Hz.
        seconds: Length of the clip. 3.36 s is 128 hops of 420 samples at 16 kHz: 129 frames.
        minimum_frequency: Centre of the lowest bin, Hz.
        bins: Number of bins.
        bins_per_octave: Bins in an octave.
        hop_length: Samples between frames.
        scaling: ``db`` (relative to the clip's maximum) or ``magnitude``. The paper names neither.
        top_db: Range below the maximum that is kept with ``db``, dB.
    """

    VERSION: ClassVar[int] = 1

    sample_rate: int = 16_000
    seconds: float = 3.36
    minimum_frequency: float = 50.0
    bins: int = 72
    bins_per_octave: int = 12
    hop_length: int = 420
    scaling: Literal["db", "magnitude"] = "db"
    top_db: float = 80.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "minimum_frequency", "bins", "bins_per_octave", "hop_length", "top_db")
        octaves = (self.bins - 1) / self.bins_per_octave
        highest = self.minimum_frequency * 2**octaves * (1 + 1 / self._quality)
        if highest > self.sample_rate / 2:
            raise ConfigError(
                f"CQT: the highest bin reaches {highest:.0f} Hz, beyond half of the sample rate "
                f"{self.sample_rate} Hz: lower bins or minimum_frequency."
            )

    @property
    def shape(self) -> tuple[int, int]:
        """(bins, frames)."""
        return self.bins, 1 + self.samples // self.hop_length

    def frequencies(self) -> NDArray[np.float64]:
        """Return the centre of each bin, Hz, (bins,)."""
        octaves = np.arange(self.bins) / self.bins_per_octave
        return np.asarray(self.minimum_frequency * 2.0**octaves)

    def inverted(self, features: Tensor, seed: int = 0) -> NDArray[np.float32]:
        """Return a sound whose features come close; phases are sought from the seed's."""
        from vocalsketch.features.inversion import from_constant_q, magnitudes

        heard = magnitudes(features, self.top_db if self.scaling == "db" else None)
        return from_constant_q(
            heard, self.frequencies(), self.bins_per_octave, self.hop_length, self.sample_rate, seed
        )

    @property
    def _quality(self) -> float:
        """Q: centre frequency over bandwidth, for bins that touch."""
        ratio: float = 4.0 ** (1 / self.bins_per_octave)
        return (ratio + 1) / (ratio - 1)

    def spectrogram(self, waveforms: Tensor) -> Tensor:
        """Return (clips, bins, frames): dB relative to the clip's maximum, or magnitudes."""
        power = self.power(waveforms)
        return decibels(power, self.top_db) if self.scaling == "db" else power.sqrt()

    def power(self, waveforms: Tensor) -> Tensor:
        """Return squared magnitudes, (clips, bins, frames).

        Filtering is a product of spectra. Keeping one sample per hop of a filter's output folds
        its spectrum: with a transform of rows x columns points, columns of them hops, all rows are
        summed. Both are together one small matrix product per column, and exact.
        """
        kernels = self.constant("kernels", self._kernels, waveforms)  # (columns, rows, bins)
        columns, rows, _ = kernels.shape
        clips = waveforms.shape[0]
        spectra = torch.fft.rfft(waveforms, n=columns * self.hop_length)[:, : rows * columns]
        parts = torch.view_as_real(spectra).view(clips, rows, columns, 2)
        folded = parts.permute(2, 0, 3, 1).reshape(columns, clips * 2, rows) @ kernels
        parts = folded.view(columns, clips, 2, self.bins).permute(1, 3, 0, 2).contiguous()
        responses = torch.fft.ifft(torch.view_as_complex(parts))[..., : self.shape[1]]
        return squared(responses)

    def _kernels(self) -> NDArray[np.float64]:
        """Return the kernels' spectra folded to (columns, rows, bins); kernels are symmetric."""
        # Imported here because it takes a quarter of a second, which log-mel need not wait for.
        from scipy.fft import next_fast_len

        hop = self.hop_length
        frequencies = self.frequencies()
        lengths = self._quality * self.sample_rate / frequencies  # samples
        # Half the longest kernel of silence after the clip keeps its ends from reaching around.
        columns = next_fast_len(int(np.ceil((self.samples + lengths[0] / 2) / hop)))
        kernels = np.zeros((self.bins, columns * hop), dtype=np.complex128)
        for kernel, frequency, length in zip(kernels, frequencies, lengths, strict=True):
            half = int(np.ceil(length / 2)) - 1  # of a Hann window whose length is not whole
            time = np.arange(-half, half + 1)
            window = 0.5 + 0.5 * np.cos(2 * np.pi * time / length)
            turns = np.exp(2j * np.pi * frequency / self.sample_rate * time)
            kernel[time] = window / window.sum() * turns * np.sqrt(length)
        spectra = np.fft.fft(kernels)[:, : columns * hop // 2 + 1].real  # up to half of the rate
        heard = np.abs(spectra) > KERNEL_FLOOR * spectra.max(1, keepdims=True)
        last = int(np.flatnonzero(heard.any(0))[-1])
        rows = min(last // columns + 1, spectra.shape[1] // columns)
        folded = spectra[:, : rows * columns].reshape(self.bins, rows, columns).transpose(2, 1, 0)
        # Each hop-th sample of an inverse transform is that of the fold, over the hop.
        return np.ascontiguousarray(folded / hop)
