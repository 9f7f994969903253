"""No transform: a system that makes its own views of a clip is given the waveform."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from vocalsketch.features.front_end import FrontEnd, check_positive


@dataclass
class Waveform(FrontEnd):
    """The waveform itself, one bin of as many frames as there are samples.

    Args:
        sample_rate: Of the waveforms, Hz.
        seconds: Length of the clip.
    """

    VERSION: ClassVar[int] = 1
    standardise = False
    cached = "waveform"

    sample_rate: int
    seconds: float

    def __post_init__(self) -> None:
        check_positive(self, "sample_rate", "seconds")

    @property
    def shape(self) -> tuple[int, int]:
        """(1, samples)."""
        return 1, self.samples

    def spectrogram(self, waveforms: Tensor) -> Tensor:
        """Return (clips, 1, samples)."""
        return waveforms.unsqueeze(1)
