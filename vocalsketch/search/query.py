"""From what was sung to what a network listens to."""

import math
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vocalsketch.errors import AudioError
from vocalsketch.features.audio import SAMPLE_RATES, mixed, read_audio

Waveform = NDArray[np.float32]

LONGEST = 60.0  # seconds that are looked at for a sound; the networks take its first 4
SHORTEST = 0.1  # seconds; less is a click
SILENCE = 1e-5  # of full scale (-100 dB)
# A frame softer than -30 dB of the loudest, root mean square, is taken for silence: a microphone's
# noise lies below in most rooms. docs/search.md has the measurement.
TRIM_BELOW = 0.03
FRAME = 0.01  # seconds
KEPT_BEFORE = 0.1  # seconds left before the first sound, so that its onset stays whole
PEAK = 0.5  # of full scale, to which every query is brought


def read_query(file: Path, start: float = 0.0) -> tuple[Waveform, int]:
    """Read a query, or a found sound from where it begins; at most a minute.

    Returns:
        Mono waveform (samples,), and its rate in Hz.

    Raises:
        AudioError: The file is missing, not audio, or too short.
    """
    return read_audio(file, seconds=LONGEST, offset=start)


def prepared(waveform: ArrayLike, rate: int, trim: bool = True) -> Waveform:
    """Return a query as every network is given it, before it is resampled.

    Channels are averaged, silence before the first sound is cut, and the level is set: the front
    ends measure against a clip's maximum, but only above an absolute floor.

    Args:
        waveform: (samples,) or (samples, channels); its first minute is looked at.
        rate: Hz.
        trim: Whether to cut silence at the beginning.

    Raises:
        AudioError: It is silent, shorter than 0.1 s, or holds values that are not finite.
    """
    if rate not in SAMPLE_RATES:
        raise AudioError(f"The query's sample rate is {rate} Hz: give it in Hz, such as 44100.")
    audio = np.atleast_1d(np.asarray(waveform))[: round(LONGEST * rate)].astype(np.float32)
    if audio.ndim == 2 and audio.shape[1]:
        audio = mixed(audio)
    if audio.ndim != 1:
        raise AudioError(f"The query is of shape {audio.shape}: give (samples,) or add channels.")
    if len(audio) < SHORTEST * rate:
        raise AudioError(
            f"The query is too short: {len(audio) / rate:.3f} s; imitate for {SHORTEST} s or more."
        )
    peak = float(np.abs(audio).max())
    if not math.isfinite(peak):
        raise AudioError("The query holds samples that are NaN or infinite.")
    if peak <= SILENCE:
        raise AudioError("The query is silent: check the microphone, and its level.")
    audio = audio * np.float32(PEAK / peak)
    return audio[onset(audio, rate) :] if trim else audio


def onset(waveform: Waveform, rate: int) -> int:
    """Return the sample at which a waveform is kept from, a little before its first sound."""
    frame = max(1, round(FRAME * rate))
    frames = np.pad(waveform, (0, -len(waveform) % frame)).reshape(-1, frame)
    levels = np.sqrt(np.square(frames).mean(axis=1))
    first = int(np.argmax(levels > TRIM_BELOW * levels.max())) * frame
    return max(0, min(first - round(KEPT_BEFORE * rate), len(waveform) - round(SHORTEST * rate)))
