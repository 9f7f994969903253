"""Control curves, and ways to make a sound of them: additive, plucked, struck, filtered, noise.

A curve is what a sound's pitch or loudness does, sample by sample. Every sound is a waveform at
``SAMPLE_RATE``, float64, of no particular level.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import signal

Curve = NDArray[np.float64]

SAMPLE_RATE = 44_100  # hz, of the demo's sounds and of every curve here
WINDOW = 1024  # samples of the frames in which filters move: 23 ms
HARMONICS = 1.0, 2.0, 3.0, 4.0, 5.0  # modes of a string or a tuned bar
BAR = 1.0, 3.93, 9.24  # modes of a free bar, as of a marimba before tuning
BELL = 0.5, 1.0, 1.19, 1.5, 2.0, 2.74, 3.76  # partials of a church bell
DRUM = 1.0, 1.59, 2.14, 2.3, 2.65, 2.92  # modes of a round membrane
METAL = 1.0, 1.41, 2.09, 2.56, 3.01, 3.87, 4.71, 5.93  # a plate: no common fundamental


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


def phase(pitch: Curve) -> Curve:
    """Return the phase in radians of an oscillator at ``pitch`` Hz."""
    return 2.0 * np.pi * np.cumsum(pitch) / SAMPLE_RATE


def tone(
    pitch: Curve, loudness: Curve, slope: float = 1.0, partials: int = 20, odd: bool = False
) -> Curve:
    """Return a sum of harmonics, the k-th at amplitude k ** -slope; none above 20 kHz.

    Slope 1 is a sawtooth; with ``odd`` harmonics only, a square wave.
    """
    turn = phase(pitch)
    sound = np.zeros_like(turn)
    for order in range(1, partials + 1, 2 if odd else 1):
        heard = pitch * order < 20_000.0
        if heard.any():
            sound += order**-slope * heard * np.sin(order * turn)
    return sound * loudness


def frequency_modulated(pitch: Curve, loudness: Curve, ratio: float, index: Curve | float) -> Curve:
    """Return a sine at ``pitch`` whose phase a sine at ``ratio * pitch`` moves by ``index``."""
    turn = phase(pitch)
    return np.sin(turn + index * np.sin(ratio * turn)) * loudness


def plucked(
    frequency: float, seconds: float, sustain: float = 0.996, *, rng: np.random.Generator
) -> Curve:
    """Return a plucked string (Karplus and Strong, 1983): noise in a damped delay loop.

    ``sustain`` is the gain of one turn of the loop, below 1.
    """
    period = round(SAMPLE_RATE / frequency - 0.5)
    excitation = np.zeros(round(seconds * SAMPLE_RATE))
    excitation[:period] = rng.uniform(-1.0, 1.0, period)
    loop = np.zeros(period + 2)
    loop[0], loop[period], loop[period + 1] = 1.0, -0.5 * sustain, -0.5 * sustain
    return np.asarray(signal.lfilter([1.0], loop, excitation))


def struck(
    frequency: float, seconds: float, modes: Sequence[float] = BAR, fall: float = 0.3
) -> Curve:
    """Return a struck body: decaying sines at ``modes`` times ``frequency``.

    ``fall`` is the time in seconds in which the lowest mode falls to 1/e; higher ones fall faster.
    """
    moments = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    sound = np.zeros_like(moments)
    for mode in modes:
        ring = np.exp(-moments * np.sqrt(mode / modes[0]) / fall)
        sound += ring * np.sin(2.0 * np.pi * mode * frequency * moments) / np.sqrt(mode)
    return sound * np.clip(moments / 0.002, 0.0, 1.0)


def hiss(loudness: Curve, centre: Curve | float, width: float, rng: np.random.Generator) -> Curve:
    """Return noise around ``centre`` Hz, ``width`` octaves broad, both sides together."""
    centres = np.broadcast_to(np.asarray(centre, dtype=float), loudness.shape)
    noise = rng.standard_normal(len(loudness))

    def gain(frequency: Curve, middle: Curve) -> Curve:
        away = np.log2(np.maximum(frequency, 20.0) / middle) / (width / 2.0)
        return np.asarray(np.exp(-0.5 * away**2) / np.sqrt(middle))

    return _filtered(noise, centres, gain) * loudness


def lowpassed(sound: Curve, cutoff: Curve | float, resonance: float = 0.0) -> Curve:
    """Return ``sound`` through a low-pass filter of 24 dB per octave, whose cutoff in Hz may move.

    ``resonance`` is the gain of the peak at the cutoff, beside 1 below it.
    """
    cutoffs = np.broadcast_to(np.asarray(cutoff, dtype=float), sound.shape)

    def gain(frequency: Curve, corner: Curve) -> Curve:
        ratio = np.maximum(frequency, 20.0) / corner
        peak = resonance * np.exp(-0.5 * (np.log2(ratio) / 0.15) ** 2)
        return np.asarray(1.0 / np.sqrt(1.0 + ratio**8) + peak)

    return _filtered(sound, cutoffs, gain)


def layered(*sounds: Curve) -> Curve:
    """Return sounds of one length, added up."""
    return np.asarray(np.sum(sounds, axis=0, dtype=np.float64))


def mixed(seconds: float, *placed: tuple[float, Curve]) -> Curve:
    """Return clips added up, each from its start time in seconds; what overhangs is cut."""
    sound = np.zeros(round(seconds * SAMPLE_RATE))
    for time, clip in placed:
        start = round(time * SAMPLE_RATE)
        part = clip[: max(len(sound) - start, 0)]
        sound[start : start + len(part)] += part
    return sound


def _filtered(sound: Curve, control: Curve, gain: Callable[[Curve, Curve], Curve]) -> Curve:
    """Return ``sound`` with each frame's spectrum multiplied by ``gain(frequency, control)``."""
    hop = WINDOW // 4
    frequency, times, spectrum = signal.stft(
        sound, SAMPLE_RATE, nperseg=WINDOW, noverlap=WINDOW - hop
    )
    frames = np.minimum((times * SAMPLE_RATE).astype(int), len(control) - 1)
    spectrum = spectrum * gain(frequency[:, None], control[None, frames])
    _, filtered = signal.istft(spectrum, SAMPLE_RATE, nperseg=WINDOW, noverlap=WINDOW - hop)
    return np.asarray(filtered[: len(sound)])
