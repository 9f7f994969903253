"""Sounds of any length as overlapping windows, each a clip for a front end."""

import math
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import numpy as np

from vocalsketch.errors import AudioError
from vocalsketch.features.audio import MARGIN, clip_of, opened_audio, read_audio
from vocalsketch.features.front_end import FrontEnd

WINDOW = 4.0  # seconds, unless a front end looks at more; what the paper's look at
SILENCE = 1e-5  # of full scale (-100 dB), less than the last bit of 16
WINDOWS_AT_ONCE = 30  # of a long file decoded together: a minute, which bounds the memory


class Window(NamedTuple):
    """A part of a sound."""

    start: float  # seconds within the file
    end: float  # seconds within the file
    clip: np.ndarray  # (samples,) float32 at the front end's rate, as long as it wants


def window_count(duration: float, window: float = WINDOW) -> int:
    """Return how many windows cover a sound, each beginning half a window after the one before.

    >>> window_count(3.0), window_count(4.5), window_count(8.0)
    (1, 2, 3)
    """
    return 1 + math.ceil(max(0.0, duration - window) / (window / 2) - 1e-9)


class Windows:
    """A sound's windows, decoded one after the other as they are asked for; no silent ones.

    Where one begins with the file, its clip is the one that training sees.

    Args:
        stream: Seekable.
        front_end: Gives rate and length of the clips.
        name: What errors call the file.

    Raises:
        AudioError: The file cannot be decoded, or is silent; also while the windows are read.
    """

    def __init__(self, stream: BinaryIO, front_end: FrontEnd, name: str) -> None:
        self._stream, self._front_end, self._name = stream, front_end, name
        self._window = max(WINDOW, front_end.seconds)
        longest = (WINDOWS_AT_ONCE + 1) * self._window / 2 + MARGIN
        self._beginning, self.sample_rate = self._read(0.0, longest)  # hz, of the file
        self.duration = len(self._beginning) / self.sample_rate  # seconds, of the file
        if len(self._beginning) >= math.floor(longest * self.sample_rate):
            stream.seek(0)
            with opened_audio(stream, name) as audio:  # what the header promises
                self.duration = float(audio.frames / audio.samplerate)

    def __iter__(self) -> Iterator[Window]:
        """Yield the windows."""
        window, rate, audible = self._window, self.sample_rate, False
        count = window_count(self.duration, window)  # by the header: it may be millions
        for first in range(0, count, WINDOWS_AT_ONCE):
            numbers = range(first, min(first + WINDOWS_AT_ONCE, count))
            offset, seconds = first * window / 2, (len(numbers) + 1) * window / 2 + MARGIN
            waveform = self._read(offset, seconds)[0] if first else self._beginning
            for number in numbers:
                start = number * window / 2
                part = waveform[round((start - offset) * rate) :][
                    : math.ceil((window + MARGIN) * rate)
                ]
                heard = part[: math.ceil(window * rate)]
                if len(heard) and np.ptp(heard) > SILENCE:  # whatever its offset
                    audible = True
                    clip = clip_of(part, rate, self._front_end)
                    yield Window(start, min(start + window, self.duration), clip)
        if not audible:
            raise AudioError(f"{self._name}: nothing but silence.")

    def _read(self, offset: float, seconds: float) -> tuple[np.ndarray, int]:
        self._stream.seek(0)
        return read_audio(self._stream, seconds=seconds, offset=offset, name=self._name)
