"""The people who imitate: each hears a sound and follows it as far as that voice can."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, signal

from vocalsketch.voice.listening import FLOOR, Frames, Heard
from vocalsketch.voice.voice import SAMPLE_RATE, Articulation, Voice, utter

LONGEST = 4.0  # seconds: no imitation is longer


@dataclass(frozen=True)
class Person:
    """Someone who imitates sounds.

    Attributes:
        name: Id of the participant.
        voice: What the vocal tract and the glottis are like.
        lowest: Hz; the range of the voice is ``reach`` octaves upward of it.
        reach: Octaves.
        shrink: Factor on the pitch's motion, below 1.
        compression: Factor on the loudness's motion in dB, below 1.
        tempo: Factor on durations.
        threshold: Periodicity at which the voice sets in.
        reaction: Seconds over which everything is smoothed.
    """

    name: str
    voice: Voice
    lowest: float
    reach: float
    shrink: float
    compression: float
    tempo: float
    threshold: float
    reaction: float


def person(number: int, rng: np.random.Generator) -> Person:
    """Return someone drawn at random; men and women alternate."""
    woman = number % 2
    voice = Voice(
        tract=rng.uniform(1.08, 1.22) if woman else rng.uniform(0.92, 1.06),
        breathiness=rng.uniform(0.1, 0.8),
        openness=rng.uniform(0.45, 0.75),
        jitter=rng.uniform(0.005, 0.025),
    )
    return Person(
        name=f"demo{number + 1:02d}",
        voice=voice,
        lowest=rng.uniform(150, 190) if woman else rng.uniform(80, 115),
        reach=rng.uniform(1.5, 2.0),
        shrink=rng.uniform(0.6, 1.0),
        compression=rng.uniform(0.5, 0.95),
        tempo=rng.uniform(0.9, 1.12),
        threshold=rng.uniform(0.55, 0.75),
        reaction=rng.uniform(0.01, 0.04),
    )


def imitation(person: Person, sound: Heard, rng: np.random.Generator) -> Frames:
    """Return the person's imitation of a sound, (samples,) at 16 kHz in [-1, 1]."""
    followed = _warped(sound, person, rng)
    spoken = utter(person.voice, _articulation(followed, person, rng), rng)
    return _recorded(spoken, rng)


def _warped(sound: Heard, person: Person, rng: np.random.Generator) -> Heard:
    """Return what was heard at the person's own tempo, which wavers, and smoothed."""
    stretch = np.clip(person.tempo * np.exp(rng.normal(0.0, 0.07)), 0.75, 1.3)
    frames = len(sound.loudness)
    length = min(max(round(frames * stretch), 10), round(LONGEST * 100))
    places = wavering(length, frames, 0.15, rng)
    width = 100.0 * person.reaction
    return sound.changed(
        lambda contour: ndimage.gaussian_filter1d(
            np.interp(places, np.arange(frames), contour), width
        )
    )


def wavering(length: int, frames: int, spread: float, rng: np.random.Generator) -> Frames:
    """Return which of ``frames`` each of ``length`` is, at a pace that wavers by ``spread``."""
    pace = np.exp(rng.normal(0.0, spread, 6))  # how fast each sixth of the sound goes by
    course = np.cumsum(np.interp(np.linspace(0, 5, length), np.arange(6), pace))
    return np.asarray((course - course[0]) / (course[-1] - course[0]) * (frames - 1))


def _articulation(sound: Heard, person: Person, rng: np.random.Generator) -> Articulation:
    frames = len(sound.loudness)
    level = person.compression * sound.loudness + _drift(frames, 2.0, rng)
    level = np.where(sound.loudness < FLOOR + 8.0, FLOOR, level)
    brightness = sound.brightness + rng.normal(0.0, 0.3) + _drift(frames, 0.15, rng)
    threshold = person.threshold + rng.normal(0.0, 0.05)
    return Articulation(
        pitch=sung(sound, person, rng),
        level=ndimage.gaussian_filter1d(level, 0.8),
        voicing=1.0 / (1.0 + np.exp(-(sound.periodicity - threshold) / 0.06)),
        vowel=np.clip(1.1 * (brightness - 2.0), 0.0, 4.0),
        frication=np.clip(55.0 * 2.0 ** (0.8 * brightness + 1.4), 500.0, 6_500.0),
    )


def sung(sound: Heard, person: Person, rng: np.random.Generator) -> Frames:
    """Return a pitch in Hz: the sound's, moved by octaves into the range, its motion shrunk."""
    weight = sound.periodicity**2 * 10.0 ** (sound.loudness / 20.0) + 1e-6
    register = float(np.average(sound.pitch, weights=weight))
    floor = np.log2(person.lowest / 55.0)
    middle = floor + person.reach / 2.0
    folded = register + np.round(middle - register)
    # A high sound is sung high and a low one low, even where the octave is wrong.
    drawn = 0.5 * folded + 0.5 * (middle + 0.3 * np.clip(register - 2.5, -2.0, 2.0))
    motion = person.shrink * (sound.pitch - register) + _drift(len(sound.pitch), 0.04, rng)
    pitch = drawn + rng.normal(0.0, 0.08) + motion
    ceiling = floor + person.reach
    return np.asarray(55.0 * 2.0 ** np.clip(pitch, floor - 0.2, ceiling + 0.4))


def _drift(frames: int, size: float, rng: np.random.Generator) -> Frames:
    """Return a slow random motion of standard deviation ``size``."""
    knots = rng.normal(0.0, size, max(frames // 40, 2) + 1)
    return np.interp(np.linspace(0, len(knots) - 1, frames), np.arange(len(knots)), knots)


def _recorded(spoken: Frames, rng: np.random.Generator) -> Frames:
    """Return the voice as a cheap microphone in a small room takes it down."""
    tail = rng.standard_normal(round(0.12 * SAMPLE_RATE))
    tail *= np.exp(-np.arange(len(tail)) / (rng.uniform(0.01, 0.03) * SAMPLE_RATE))
    tail *= rng.uniform(0.02, 0.1)
    tail[0] = 1.0
    pauses = rng.uniform(0.02, 0.1, 2) * SAMPLE_RATE
    room = signal.fftconvolve(np.pad(spoken, (round(pauses[0]), round(pauses[1]))), tail)
    noise = ndimage.gaussian_filter1d(rng.standard_normal(len(room)), 0.7)
    room = room / np.abs(room).max() + 10.0 ** (rng.uniform(-60, -42) / 20.0) * noise
    return np.asarray(10.0 ** (rng.uniform(-14, -1) / 20.0) * room / np.abs(room).max())
