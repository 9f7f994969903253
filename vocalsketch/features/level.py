"""How loud a recording is from moment to moment, and where in it something sounds."""

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

FRAME = 0.01  # seconds over which a level is measured
WEIGHTING = 0.003  # seconds of the average that is taken away: -28 dB at 50 Hz, -6 dB at 200 Hz
STEADY = 7  # frames: what lasts fewer than half of them is a click
SOFTEST = 10  # percent of the frames, whose level is the floor
ABOVE_FLOOR = 10.0  # dB: what stays closer to the floor is noise ...
CERTAIN = 15.0  # dB below the loudest: ... and what is louder than this never is
SILENCE = 30.0  # dB below the loudest: a microphone's noise, in most rooms; see docs/search.md
NOTHING = 100.0  # dB below the loudest: digital silence, which says nothing of a floor
PEAK = 0.7  # where a level is set exactly
KEPT_BEFORE, KEPT_AFTER = 0.1, 0.3  # seconds: onsets and ends stay whole


def sounding(waveform: NDArray[np.float32], rate: int, below: float = SILENCE) -> slice:
    """Return the samples that are left where silence at both ends is cut, with a margin.

    Levels are those of frames without offset and rumble. Silence is what stays ``below`` dB below
    the loudest frame, or close to the floor, noise that goes on all the time. Clicks count only
    where nothing else comes up to them. ``waveform`` is (samples,), of any level.
    """
    measured = frame_levels(waveform, rate)
    floor = np.percentile(measured[measured >= measured.max() - NOTHING], SOFTEST)
    padded = np.pad(measured, STEADY // 2, constant_values=measured.min())
    levels = np.median(sliding_window_view(padded, STEADY), axis=1)
    flat = levels.max() < np.percentile(levels, SOFTEST) + ABOVE_FLOOR
    if flat and levels.max() < measured.max() - below:
        levels = measured
    loudest = levels.max()
    silence = max(loudest - below, min(floor + ABOVE_FLOOR, loudest - CERTAIN))
    heard = np.flatnonzero(levels >= silence)
    start = round((heard[0] * FRAME - KEPT_BEFORE) * rate)
    end = round(((heard[-1] + 1) * FRAME + KEPT_AFTER) * rate)
    return slice(max(0, start), min(len(waveform), end))


def frame_levels(waveform: NDArray[np.float32], rate: int) -> NDArray[np.float64]:
    """Return the level of each 10 ms, dB, without what is lower than a voice, (frames,)."""
    width = round(WEIGHTING * rate) | 1
    padded = np.pad(waveform, (width // 2 + 1, width // 2), "edge")
    sums = padded.cumsum(dtype=np.float64)
    weighted = waveform - (sums[width:] - sums[:-width]) / width
    frames = np.arange(0, len(waveform), FRAME * rate).round().astype(int)
    powers = np.add.reduceat(np.square(weighted), frames) / np.diff([*frames, len(waveform)])
    return np.asarray(10 * np.log10(powers + 1e-20))


def gain(peak: float, exactly: bool = False) -> np.float32:
    """Return that power of two which brings a waveform's peak into [0.5, 1); 1 of silence.

    A power of two changes no digit; ``exactly``, the factor that brings it to 0.7.
    """
    if not 0 < peak < math.inf:
        return np.float32(1.0)
    mantissa, exponent = math.frexp(peak)
    power = np.float32(2.0 ** min(-exponent, 127))
    return np.float32(PEAK / mantissa) * power if exactly else power
