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


class Sounding(NamedTuple):
    """A decoded file: its duration in seconds, its rate in Hz and its audible windows."""

    duration: float
    sample_rate: int
    windows: Iterator[Window]


def window_starts(duration: float, window: float = WINDOW) -> list[float]:
    """Return where windows begin, in seconds, each half a window after the one before.

    The last one reaches the end.

    >>> window_starts(3.0), window_starts(4.5), window_starts(8.0)
    ([0.0], [0.0, 2.0], [0.0, 2.0, 4.0])
    """
    hop = window / 2
    return [hop * number for number in range(_count(duration, window))]


def _count(duration: float, window: float) -> int:
    return 1 + math.ceil(max(0.0, duration - window) / (window / 2) - 1e-9)


def open_windows(stream: BinaryIO, front_end: FrontEnd, name: str) -> Sounding:
    """Decode a file's windows one after the other; silent ones are left out.

    Where one begins with the file, its clip is the one that training sees.

    Args:
        stream: Seekable.
        front_end: Gives rate and length of the clips.
        name: What errors call the file.

    Raises:
        AudioError: The file cannot be decoded; also while the windows are read.
    """
    window = max(WINDOW, front_end.seconds)
    longest = (WINDOWS_AT_ONCE + 1) * window / 2 + MARGIN
    stream.seek(0)
    waveform, rate = read_audio(stream, seconds=longest, name=name)
    duration = len(waveform) / rate
    if len(waveform) >= math.floor(longest * rate):
        duration = _promised_duration(stream, name)
    windows = _windows(stream, waveform, rate, duration, window, front_end, name)
    return Sounding(duration, rate, windows)


def _windows(
    stream: BinaryIO,
    waveform: np.ndarray,
    rate: int,
    duration: float,
    window: float,
    front_end: FrontEnd,
    name: str,
) -> Iterator[Window]:
    hop, audible = window / 2, False
    numbers = range(_count(duration, window))  # by the header, which may promise millions
    for first in range(0, len(numbers), WINDOWS_AT_ONCE):
        group = [hop * number for number in numbers[first : first + WINDOWS_AT_ONCE]]
        if first:
            stream.seek(0)
            seconds = group[-1] - group[0] + window + MARGIN
            waveform, _ = read_audio(stream, seconds=seconds, offset=group[0], name=name)
        for start in group:
            first_sample = round((start - group[0]) * rate)
            part = waveform[first_sample : first_sample + math.ceil((window + MARGIN) * rate)]
            if np.abs(part[: math.ceil(window * rate)]).max(initial=0.0) > SILENCE:
                audible = True
                yield Window(start, min(start + window, duration), clip_of(part, rate, front_end))
    if not audible:
        raise AudioError(f"{name}: nothing but silence.")


def _promised_duration(stream: BinaryIO, name: str) -> float:
    """Return what the header says, of a file whose beginning could be decoded."""
    stream.seek(0)
    with opened_audio(stream, name) as audio:
        return float(audio.frames / audio.samplerate)
