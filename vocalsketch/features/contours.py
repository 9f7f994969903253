"""Contours and averages of a clip: what is compared where nothing is learned."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from vocalsketch.features.audible_mel import AudibleMel, audible_part
from vocalsketch.features.audio import resampled
from vocalsketch.features.front_end import FrontEnd, squared
from vocalsketch.features.level import SILENCE
from vocalsketch.voice.listening import HOP, SAMPLE_RATE, WINDOW, contours, framed

POINTS = 20  # of each contour, whatever the clip's length
BANDS = 40
FAMILIES = {  # what the vector's parts tell, and their sizes
    "loudness": POINTS,
    "pitch": POINTS,
    "tone or noise": POINTS,
    "brightness": POINTS,
    "timbre": 2 * BANDS,
    "duration": 1,
}
AUDIBLE = 30.0  # dB below the loudest frame: what is softer at either end is silence


@dataclass
class ContourFeatures(FrontEnd):
    """Contours and averages of each clip as one vector: bins without time.

    Loudness, pitch, periodicity and brightness as ``voice.listening`` hears them, each at
    ``POINTS`` equal distances in time from the first to the last audible frame; mean and deviation
    there of ``BANDS`` mel bands in dB; log duration. Silence after a clip's end is not heard.
    """

    VERSION: ClassVar[int] = 2
    families: ClassVar[Mapping[str, int]] = FAMILIES
    standardise = False  # not of one clip: a family of features is compared with others' alone
    trim = SILENCE
    absolute = True  # its mel bands

    sample_rate: int = SAMPLE_RATE
    seconds: float = 10.0

    @property
    def shape(self) -> tuple[int, int]:
        """(numbers, 1)."""
        return sum(FAMILIES.values()), 1

    def spectrogram(self, waveforms: Tensor) -> Tensor:
        """Return (clips, numbers, 1)."""
        if self.sample_rate != SAMPLE_RATE:
            clips = waveforms.detach().cpu().numpy()
            clips = np.stack([resampled(clip, self.sample_rate, SAMPLE_RATE) for clip in clips])
            waveforms = torch.from_numpy(clips).to(waveforms.device)
        places = torch.arange(1, waveforms.shape[1] + 1, device=waveforms.device)
        ends = torch.where(waveforms != 0, places, 0).amax(1, keepdim=True)
        if not torch.compiler.is_exporting():  # to a graph that cannot know
            waveforms = waveforms[:, : int(ends.max())]
        frames = framed(waveforms)
        count = (ends + WINDOW // 2) // HOP + 1  # (clips, 1), of frames that a clip has
        window = self.constant("window", lambda: np.hanning(WINDOW), waveforms)
        found = contours(frames, count, self.constant)
        first, length = audible_part(found[0][:, None], AUDIBLE, AUDIBLE)
        silent = found[0].amax(1, keepdim=True) <= -AUDIBLE
        length = torch.where(silent, count, length)  # all of its frames
        steps = torch.arange(POINTS, device=waveforms.device) / (POINTS - 1)
        points = [_between(each, first + (length - 1) * steps) for each in found]
        mel = AudibleMel(window=WINDOW // 2, bands=BANDS, minimum_frequency=0.0)
        filters = self.constant("filters", lambda: mel.filters().T, waveforms)
        bands = squared(torch.fft.rfft(frames * window, n=WINDOW)) @ filters
        floor = (1e-8 * bands.amax((1, 2), keepdim=True)).clamp(min=1e-12)  # 80 dB below
        bands = 10 * torch.maximum(bands, floor).log10()
        averages = _averages(bands, first, length)
        duration = (length * (HOP / SAMPLE_RATE)).log()
        return torch.cat([*points, *averages, duration], 1).unsqueeze(2)


def _averages(bands: Tensor, first: Tensor, length: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and deviation of (clips, frames, bands) over some frames, (clips, bands) each."""
    place = torch.arange(bands.shape[1], device=bands.device)
    within = ((place >= first) & (place < first + length)).unsqueeze(2)
    mean = (bands * within).sum(1) / length
    squares = (bands - mean.unsqueeze(1)).square() * within
    return mean, (squares.sum(1) / length).sqrt()


def _between(contour: Tensor, places: Tensor) -> Tensor:
    """Return what lies at places between frames, on the line from one frame to the next."""
    before = places.floor().clamp(max=contour.shape[1] - 2)
    low, high = (contour.gather(1, before.long() + step) for step in (0, 1))
    return torch.lerp(low, high, places - before)
