"""Control curves: what a synthesised sound's pitch or loudness does, sample by sample."""

import numpy as np
from numpy.typing import NDArray

Curve = NDArray[np.float64]

SAMPLE_RATE = 44_100  # hz, of the demo's sounds and of every curve here


def line(seconds: float, *values: float) -> Curve:
    """Return straight lines through ``values``, which stand at equal distances in time."""
    places = np.linspace(0.0, 1.0, max(len(values), 2))
    moments = np.linspace(0.0, 1.0, round(seconds * SAMPLE_RATE))
    return np.interp(moments, places, values if len(values) > 1 else values * 2)


def glide(seconds: float, *frequencies: float) -> Curve:
    """Return a pitch in Hz that glides through ``frequencies``, even to the ear (geometric)."""
    return np.asarray(np.exp(line(seconds, *np.log(frequencies))))


def steps(seconds: float, *values: float) -> Curve:
    """Return ``values`` one after another, each for the same time."""
    moments = np.arange(round(seconds * SAMPLE_RATE)) / (seconds * SAMPLE_RATE)
    places = (moments * len(values)).astype(int)
    return np.asarray(np.take(np.array(values, dtype=np.float64), places))


def swell(seconds: float, attack: float, release: float) -> Curve:
    """Return a loudness that rises for ``attack`` and falls for ``release`` seconds, 1 between."""
    moments = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    rising = np.clip(moments / attack, 0.0, 1.0)
    return np.minimum(rising, np.clip((seconds - moments) / release, 0.0, 1.0))


def strikes(seconds: float, times: list[float], fall: float, attack: float = 0.004) -> Curve:
    """Return a loudness that is struck at each of ``times`` and falls to 1/e in ``fall`` seconds.

    A later strike takes over from an earlier one, as on a damped drum.
    """
    moments = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    loudness = np.zeros_like(moments)
    for time in times:
        since = moments - time
        struck = np.clip(since / attack, 0.0, 1.0) * np.exp(-np.maximum(since, 0.0) / fall)
        loudness = np.maximum(loudness, struck)
    return loudness


def every(period: float, seconds: float, start: float = 0.02) -> list[float]:
    """Return the times of a steady beat, ``period`` seconds apart."""
    return [float(time) for time in np.arange(start, seconds - 0.05, period)]


def speeding(first: float, last: float, seconds: float) -> list[float]:
    """Return the times of a beat whose period goes from ``first`` to ``last`` seconds."""
    times = [0.02]
    while times[-1] < seconds - max(first, last):
        done = times[-1] / seconds
        times.append(times[-1] + first * (last / first) ** done)
    return times


def wave(seconds: float, rate: float, low: float, high: float) -> Curve:
    """Return a sine of ``rate`` Hz between ``low`` and ``high``, starting at ``low``."""
    moments = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return low + (high - low) * 0.5 * (1.0 - np.cos(2.0 * np.pi * rate * moments))


def gate(seconds: float, rate: float, share: float = 0.5) -> Curve:
    """Return a loudness that is on for ``share`` of each period of ``rate`` Hz, with soft edges."""
    moments = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    place = (moments * rate) % 1.0
    edge = 0.008 * rate
    return np.clip(place / edge, 0.0, 1.0) * np.clip((share - place) / edge, 0.0, 1.0)


def joined(*curves: Curve) -> Curve:
    """Return curves one after another."""
    return np.concatenate(curves)
