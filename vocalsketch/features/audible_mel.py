"""Mel spectrograms of what is audible in a clip: the dual encoder's, and aisfx's."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vocalsketch.features.front_end import decibels
from vocalsketch.features.level import SILENCE
from vocalsketch.features.mel import Array, MelFrontEnd, triangles

AT_ONCE = 4  # clips: the spectra of more leave a processor's cache, which takes twice as long
GAIN = 10_000.0  # log10(1 + 10,000 power)
HIGHEST = 9.457798957824707  # of all spectrograms that aisfx's network was trained on


@dataclass
class AudibleMel(MelFrontEnd):
    """Power in mel bands, dB above a floor ``top_db`` below the clip's maximum; 0 is the floor.

    Silence at both ends is cut before the clip is taken, and what follows its end is 0. Frames are
    centred Hann windows; the bands are Slaney's, of equal area. It is not standardised: that is
    done after augmentation.

    Args:
        hop_length: Samples between frames.
        top_db: Range below the maximum that is kept, dB.
        audible: Frames at the beginning whose loudest band lies further than this below the clip's
            loudest, dB, are cut: people's recordings begin with breath and clicks.
        decay: Likewise at the end, where sounds die away.
    """

    VERSION: ClassVar[int] = 3
    PADDED = 2  # which lays bins so close that every band hears one
    standardise = False
    trim = SILENCE

    seconds: float = 5.0
    minimum_frequency: float = 50.0
    hop_length: int = 160
    top_db: float = 80.0
    audible: float = 20.0
    decay: float = 30.0

    @property
    def shape(self) -> tuple[int, int]:
        """(bands, frames)."""
        return self.bands, self.samples // self.hop_length

    def spectrogram(self, waveforms: Tensor) -> Tensor:
        """Return dB between 0 and ``top_db``, (clips, bands, frames)."""
        levels = decibels(self._power(waveforms), self.top_db) + self.top_db
        return self._trimmed(levels, levels)

    def _power(self, waveforms: Tensor) -> Tensor:
        """Return power in bands, (clips, bands, frames)."""
        frames = self.shape[1]
        if not waveforms.is_cpu or torch.compiler.is_exporting():
            return self._first_frames(waveforms, frames)
        powers = []
        for few in torch.split(waveforms, AT_ONCE):
            ends = few.any(0).nonzero()  # the silence after them has no power
            last = int(ends[-1]) if len(ends) else 0
            count = min(frames, (last + self.window // 2) // self.hop_length + 1)
            powers.append(functional.pad(self._first_frames(few, count), (0, frames - count)))
        return torch.cat(powers)

    def _first_frames(self, waveforms: Tensor, count: int) -> Tensor:
        return self.band_power(functional.pad(waveforms, (self.window // 2, self.window)), count)

    def _trimmed(self, values: Tensor, levels: Tensor) -> Tensor:
        """Begin with the first frame whose level is audible; what follows the last one is 0."""
        first, count = audible_part(levels, self.audible, self.decay)
        frames = levels.shape[2]
        place = torch.arange(frames, device=levels.device)
        taken = (place + first).clamp(max=frames - 1)[:, None, :].expand_as(levels)
        return values.gather(2, taken) * (place < count)[:, None, :]


@dataclass
class CompressedMel(AudibleMel):
    """Power in mel bands of a clip whose peak is 1, compressed to between 0 and about 1.

    Source: aisfx 0.1.2, by its librosa (Ma and Lerch, ISMIR 2022); the network itself was trained
    on Essentia's, which is alike. Bands are HTK's, each the mean of what it hears. Silence at both
    ends is cut as ``AudibleMel`` cuts it; an ``audible`` of ``top_db`` or more cuts nothing.
    """

    VERSION: ClassVar[int] = 1
    HTK = True
    PADDED = 1

    sample_rate: int = 44_100
    window: int = 2_048
    bands: int = 96
    minimum_frequency: float = 0.0
    maximum_frequency: float = 22_050.0
    hop_length: int = 1_024

    def inverted(self, features: Tensor, seed: int = 0) -> None:
        """Return no sound: there is no way back."""

    def spectrogram(self, waveforms: Tensor) -> Tensor:
        """Return (clips, bands, frames), 0 of silence."""
        peaks = waveforms.abs().amax(1, keepdim=True)
        power = self._power(waveforms / torch.where(peaks > 0, peaks, torch.ones_like(peaks)))
        compressed = (1 + GAIN * power).log10() / HIGHEST
        return self._trimmed(compressed, decibels(power, self.top_db))

    def filters(self) -> Array:
        """Return triangles that each sum to 1, (bands, points // 2 + 1)."""
        heard = triangles(np.fft.rfftfreq(self.window, 1 / self.sample_rate), self.edges())
        sums = heard.sum(1, keepdims=True)
        return np.asarray(heard / np.where(sums > 0, sums, 1))


def audible_part(levels: Tensor, audible: float, decay: float) -> tuple[Tensor, Tensor]:
    """Return the first audible frame, and how many there are up to the last one, (clips, 1) each.

    Of spectrograms (clips, bands, frames) in dB, the first frame is one whose loudest band lies
    ``audible`` dB below the clip's loudest at most, and the last one ``decay`` dB.
    """
    loudest = levels.amax(1)
    below = loudest.amax(1, keepdim=True) - loudest
    first = (below <= audible).to(levels.dtype).argmax(1, keepdim=True)
    heard = (below <= max(audible, decay)).to(levels.dtype)
    return first, levels.shape[2] - heard.flip(1).argmax(1, keepdim=True) - first


def own_time(levels: Tensor, audible: float, decay: float, places: int) -> tuple[Tensor, Tensor]:
    """Stretch the audible part of each clip to so many places, (clips, bands, places).

    A place is the average of the frames that it covers, or, of a part of fewer than two frames a
    place, lies on the line between two of them. With it comes how many frames were stretched,
    (clips, 1).
    """
    first, count = audible_part(levels, audible, decay)
    width = torch.where(count < 2 * places, torch.ones_like(count), count / places)
    centre = (torch.arange(places, device=levels.device) + 0.5) * count / places
    begin = first + torch.minimum((centre - width / 2).clamp(min=0), count - width)
    sums = functional.pad(levels.cumsum(2), (1, 0))

    def until(frame: Tensor) -> Tensor:
        whole = frame.floor().clamp(max=levels.shape[2] - 1)
        taken = whole.long()[:, None, :].expand(-1, levels.shape[1], -1)
        return torch.lerp(
            sums.gather(2, taken), sums.gather(2, taken + 1), (frame - whole)[:, None]
        )

    return (until(begin + width) - until(begin)) / width[:, None], count
