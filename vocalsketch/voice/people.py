"""The people who imitate, and their voices: glottal pulses and breath, shaped by a vocal tract.

A voice is a source-filter model; each person hears a sound and follows it as far as theirs can.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, signal

from vocalsketch.voice.listening import FLOOR, HOP, SAMPLE_RATE, Frames, Heard

WINDOW = 512  # samples of the frames in which the tract moves: 32 ms
# Formants in Hz (F1, F2, F3) of u, o, a, e, i: from dark to bright
VOWELS = np.array(
    [[310, 750, 2300], [450, 850, 2400], [740, 1250, 2500], [500, 1850, 2550], [290, 2250, 3000]],
    dtype=float,
)
BANDWIDTHS = np.array([80.0, 110.0, 160.0, 250.0])  # hz
FOURTH_FORMANT = 3_600.0  # hz
LONGEST = 4.0  # seconds: no imitation is longer


@dataclass(frozen=True)
class Person:
    """Someone who imitates sounds."""

    name: str  # id of the participant
    # The voice:
    tract: float  # factor on every formant: 1 for a man of middle height, 1.2 for a child
    breathiness: float  # breath beside the glottal pulses, 0 to 1
    openness: float  # share of a period in which the glottis is open, 0.4 (pressed) to 0.8 (soft)
    jitter: float  # standard deviation of the pitch's slow tremble, octaves
    lowest: float  # Hz; the range of the voice is ``reach`` octaves upward of it
    reach: float  # octaves
    # What they make of a sound:
    shrink: float  # factor on the pitch's motion, below 1
    compression: float  # factor on the loudness's motion in dB, below 1
    tempo: float  # factor on durations
    threshold: float  # periodicity at which the voice sets in
    reaction: float  # seconds over which everything is smoothed


@dataclass(frozen=True)
class Articulation:
    """What the voice does, each (frames,), 10 ms apart."""

    pitch: Frames  # Hz
    level: Frames  # dB below full level
    voicing: Frames  # 0 (unvoiced) to 1 (voiced)
    vowel: Frames  # place on the axis of ``VOWELS``, 0 to 4
    frication: Frames  # centre in Hz of the noise that takes the vowel's place where unvoiced


def utter(person: Person, articulation: Articulation, rng: np.random.Generator) -> Frames:
    """Return the waveform of an articulation, (frames * HOP,) at 16 kHz, its peak at 1."""
    samples = len(articulation.level) * HOP
    voicing = sampled(articulation.voicing, samples)
    pulses = glottal_pulses(person, phase(person, sampled(articulation.pitch, samples), rng))
    breath = rng.standard_normal(samples)
    place = _framed(articulation.vowel)
    formants = [np.interp(place, np.arange(len(VOWELS)), VOWELS[:, order]) for order in range(3)]
    formants.append(np.full(len(place), FOURTH_FORMANT))
    frequency = np.fft.rfftfreq(WINDOW, 1 / SAMPLE_RATE)[:, None]
    tract = np.ones((len(frequency), len(place)))
    for formant, bandwidth in zip(formants, BANDWIDTHS, strict=True):
        centre = (formant * person.tract)[None, :]
        turned = centre**2 - frequency**2
        tract *= centre**2 / np.sqrt(turned**2 + (bandwidth * frequency) ** 2 + 1.0)
    vowel = _shaped(voicing * (pulses + 0.15 * person.breathiness * breath), tract)
    centre = _framed(articulation.frication)[None, :]  # of a noise made at a narrow place
    frequency = np.maximum(frequency, 30.0)
    gain = np.exp(-0.5 * (np.log2(frequency / centre) / 0.6) ** 2) + 0.02
    friction = _shaped((1.0 - voicing) * breath, gain)
    balanced = voicing * levelled(vowel) + (1.0 - voicing) * levelled(friction)
    level = sampled(articulation.level, samples)
    spoken = balanced * 10.0 ** (level / 20.0)
    return np.asarray(spoken / max(float(np.abs(spoken).max()), 1e-9))


def sampled(contour: Frames, samples: int) -> Frames:
    """Return a contour at each sample."""
    return np.interp(np.arange(samples) / HOP, np.arange(len(contour)), contour)


def phase(person: Person, pitch: Frames, rng: np.random.Generator) -> Frames:
    """Return how many periods of a pitch in Hz have passed, whose tremble is the voice's."""
    tremble = rng.standard_normal(len(pitch) // HOP + 1)
    trembled = pitch * 2.0 ** (person.jitter * sampled(tremble, len(pitch)))
    return np.cumsum(trembled) / SAMPLE_RATE


def glottal_pulses(person: Person, periods: Frames) -> Frames:
    """Return the glottal flow's derivative: open and closing by a parabola, then shut."""
    opened = periods % 1.0 / person.openness
    # The flow t^2 (1 - t) has the derivative 2t - 3t^2, with its corner at the closure.
    return np.where(opened < 1.0, 2.0 * opened - 3.0 * opened**2, 0.0)


def _framed(contour: Frames) -> Frames:
    """Return a contour at the frames of ``_shaped``."""
    samples = len(contour) * HOP
    places = np.arange(0, samples + WINDOW // 4, WINDOW // 4)
    return np.interp(places / HOP, np.arange(len(contour)), contour)


def _shaped(source: Frames, gain: Frames) -> Frames:
    """Return ``source`` with each frame's spectrum multiplied by ``gain``, (bins, frames)."""
    overlap = WINDOW - WINDOW // 4
    _, _, spectrum = signal.stft(source, SAMPLE_RATE, nperseg=WINDOW, noverlap=overlap)
    frames = np.minimum(np.arange(spectrum.shape[1]), gain.shape[1] - 1)
    _, shaped = signal.istft(spectrum * gain[:, frames], nperseg=WINDOW, noverlap=overlap)
    return np.asarray(shaped[: len(source)])


def levelled(sound: Frames) -> Frames:
    """Return ``sound`` at an even power, so that the articulation alone says how loud it is."""
    # The running sum may end a hair below zero after a loud part.
    power = np.maximum(ndimage.uniform_filter1d(sound**2, round(0.03 * SAMPLE_RATE)), 0.0)
    return np.asarray(sound / np.sqrt(power + 1e-4 * max(float(power.max()), 1e-12)))


def person(number: int, rng: np.random.Generator) -> Person:
    """Return someone drawn at random; men and women alternate."""
    woman = number % 2
    return Person(
        name=f"demo{number + 1:02d}",
        tract=rng.uniform(1.08, 1.22) if woman else rng.uniform(0.92, 1.06),
        breathiness=rng.uniform(0.1, 0.8),
        openness=rng.uniform(0.45, 0.75),
        jitter=rng.uniform(0.005, 0.025),
        lowest=rng.uniform(150, 190) if woman else rng.uniform(80, 115),
        reach=rng.uniform(1.5, 2.0),
        shrink=rng.uniform(0.6, 1.0),
        compression=rng.uniform(0.5, 0.95),
        tempo=rng.uniform(0.9, 1.12),
        threshold=rng.uniform(0.55, 0.75),
        reaction=rng.uniform(0.01, 0.04),
    )


def anyone(rng: np.random.Generator) -> Person:
    """Return someone drawn at random: a man, a woman or a child."""
    kind = rng.integers(5)  # two men, two women, a child
    lowest = (rng.uniform(75, 120), rng.uniform(140, 200), rng.uniform(200, 300))[kind // 2]
    return Person(
        name="anyone",
        tract=0.98 * (lowest / 100.0) ** 0.22 * rng.uniform(0.92, 1.08),
        breathiness=rng.uniform(0.05, 1.2),
        openness=rng.uniform(0.4, 0.8),
        jitter=rng.uniform(0.004, 0.03),
        lowest=lowest,
        reach=rng.uniform(1.2, 2.3),
        shrink=rng.uniform(0.4, 1.3),
        compression=rng.uniform(0.5, 1.0),
        tempo=rng.uniform(0.85, 1.2),
        threshold=rng.uniform(0.5, 0.8),
        reaction=rng.uniform(0.005, 0.035),
    )


def imitation(person: Person, sound: Heard, rng: np.random.Generator) -> Frames:
    """Return the person's imitation of a sound, (samples,) at 16 kHz in [-1, 1]."""
    stretch = np.clip(person.tempo * np.exp(rng.normal(0.0, 0.07)), 0.75, 1.3)
    length = min(max(round(len(sound.loudness) * stretch), 10), round(LONGEST * 100))
    places = wavering(length, len(sound.loudness), 0.15, rng)
    followed = sound.at(places, [100.0 * person.reaction] * 4)
    level = person.compression * followed.loudness + _drift(length, 2.0, rng)
    level = np.where(followed.loudness < FLOOR + 8.0, FLOOR, level)
    brightness = followed.brightness + rng.normal(0.0, 0.3) + _drift(length, 0.15, rng)
    threshold = person.threshold + rng.normal(0.0, 0.05)
    articulation = Articulation(
        pitch=sung(followed, person, rng),
        level=ndimage.gaussian_filter1d(level, 0.8),
        voicing=1.0 / (1.0 + np.exp(-(followed.periodicity - threshold) / 0.06)),
        vowel=np.clip(1.1 * (brightness - 2.0), 0.0, 4.0),
        frication=np.clip(55.0 * 2.0 ** (0.8 * brightness + 1.4), 500.0, 6_500.0),
    )
    spoken = utter(person, articulation, rng)
    # as a cheap microphone in a small room takes it down
    tail = rng.standard_normal(round(0.12 * SAMPLE_RATE))
    tail *= np.exp(-np.arange(len(tail)) / (rng.uniform(0.01, 0.03) * SAMPLE_RATE))
    tail *= rng.uniform(0.02, 0.1)
    tail[0] = 1.0
    pauses = rng.uniform(0.02, 0.1, 2) * SAMPLE_RATE
    room = signal.fftconvolve(np.pad(spoken, (round(pauses[0]), round(pauses[1]))), tail)
    noise = ndimage.gaussian_filter1d(rng.standard_normal(len(room)), 0.7)
    room = room / np.abs(room).max() + 10.0 ** (rng.uniform(-60, -42) / 20.0) * noise
    return np.asarray(10.0 ** (rng.uniform(-14, -1) / 20.0) * room / np.abs(room).max())


def wavering(length: int, frames: int, spread: float, rng: np.random.Generator) -> Frames:
    """Return which of ``frames`` each of ``length`` is, at a pace that wavers by ``spread``."""
    pace = np.exp(rng.normal(0.0, spread, 6))  # how fast each sixth of the sound goes by
    course = np.cumsum(np.interp(np.linspace(0, 5, length), np.arange(6), pace))
    return np.asarray((course - course[0]) / (course[-1] - course[0]) * (frames - 1))


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
