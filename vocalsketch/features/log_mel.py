"""Log-mel spectrograms: TL-IMINET's views of an imitation and of a recording."""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vocalsketch.errors import ConfigError
from vocalsketch.features.front_end import decibels, squared
from vocalsketch.features.mel import MelFrontEnd

BANDS_AT_ONCE = 32


@dataclass
class LogMel(MelFrontEnd):
    """Power in mel bands, in dB relative to the clip's maximum.

    The Hann windows do not overlap and are centred, with reflected ends; the bands are Slaney's,
    of equal area. The same as ``librosa.power_to_db(librosa.feature.melspectrogram(y, n_fft=window,
    hop_length=window, pad_mode="reflect"), ref=np.max)``, cut to its first frames.

    Args:
        sample_rate: Of the waveforms, Hz.
        seconds: Length of the clip.
        window: Samples in a window, and between frames.
        bands: Number of mel bands.
        minimum_frequency: Lower end of the lowest band, Hz.
        maximum_frequency: Upper end of the highest band, Hz.
        frames: Frames that are kept, the first ones; dB is taken before, on the whole clip.
        top_db: Range below the maximum that is kept, dB.

    Raises:
        ConfigError: A parameter is out of range.
    """

    VERSION: ClassVar[int] = 1

    sample_rate: int
    seconds: float
    window: int
    bands: int
    minimum_frequency: float
    maximum_frequency: float
    frames: int
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

    def inverted(self, features: Tensor, seed: int = 0) -> NDArray[np.float32]:
        """Return a sound whose features come close; phases are sought from the seed's."""
        from vocalsketch.features.inversion import from_mel, magnitudes

        heard, filters = magnitudes(features, self.top_db), self.mel_filters(self.window)
        return from_mel(heard, filters, self.window, self.window, self.window, seed)

    def spectrogram(self, waveforms: Tensor) -> Tensor:
        """Return dB between 0, the clip's maximum, and -``top_db``: (clips, bands, frames)."""
        reach = self.window // 2
        before, after = waveforms[:, 1 : reach + 1], waveforms[:, -reach - 1 : -1]
        reflected = torch.cat([before.flip(1), waveforms, after.flip(1)], dim=1)
        windows = reflected.unfold(1, self.window, self.window)  # (clips, all frames, window)
        spectra = torch.fft.rfft(windows * self.constant("analysis", self._hann, waveforms))
        power = squared(spectra).transpose(1, 2)
        bands = [
            self.constant(f"filters{number}", part.copy, waveforms) @ power[:, heard]
            for number, (heard, part) in enumerate(self._filters)
        ]
        return decibels(torch.cat(bands, dim=1), self.top_db)[..., : self.frames]

    def _hann(self) -> NDArray[np.float64]:
        return torch.hann_window(self.window, dtype=torch.float64, device="cpu").numpy()

    @cached_property
    def _filters(self) -> list[tuple[slice, NDArray[np.float64]]]:
        """The mel filters, some neighbouring bands at a time.

        Of each part the frequencies that it hears, and a matrix (bands, these frequencies): of
        the whole matrix nine tenths are zeros.
        """
        filters, parts = self.mel_filters(self.window), []
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

    sample_rate: int = 16_000
    seconds: float = 4.0
    window: int = 133
    bands: int = 39
    minimum_frequency: float = 0.0
    maximum_frequency: float = 5_000.0
    frames: int = 482


@dataclass
class RecordingLogMel(LogMel):
    """128 bands up to 22.05 kHz, 128 frames of 23 ms: the recording tower's input (section III-B).

    4 s make 173 frames; the authors kept the first 128, 2.97 s.
    """

    sample_rate: int = 44_100
    seconds: float = 4.0
    window: int = 1024
    bands: int = 128
    minimum_frequency: float = 0.0
    maximum_frequency: float = 22_050.0
    frames: int = 128
