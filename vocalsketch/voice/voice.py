"""A voice: glottal pulses and breath, shaped by a vocal tract (a source-filter model)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal

SAMPLE_RATE = 16_000  # hz
HOP = 160  # samples between frames of an articulation: 10 ms
WINDOW = 512  # samples of the frames in which the tract moves: 32 ms
# Formants in Hz (F1, F2, F3) of u, o, a, e, i: from dark to bright
VOWELS = np.array(
    [[310, 750, 2300], [450, 850, 2400], [740, 1250, 2500], [500, 1850, 2550], [290, 2250, 3000]],
    dtype=float,
)
BANDWIDTHS = np.array([80.0, 110.0, 160.0, 250.0])  # hz
FOURTH_FORMANT = 3_600.0  # hz

Frames = NDArray[np.float64]


@dataclass(frozen=True)
class Voice:
    """What does not change while someone makes sounds.

    Attributes:
        tract: Factor on every formant: 1 for a man of middle height, about 1.2 for a child.
        breathiness: Breath beside the glottal pulses, 0 to 1.
        openness: Share of the period in which the glottis is open, 0.4 (pressed) to 0.8 (soft).
        jitter: Standard deviation of the pitch's slow tremble, octaves.
    """

    tract: float
    breathiness: float
    openness: float
    jitter: float


@dataclass(frozen=True)
class Articulation:
    """What the voice does, each (frames,), 10 ms apart.

    Attributes:
        pitch: Hz.
        level: dB below full level.
        voicing: 0 (unvoiced) to 1 (voiced).
        vowel: Place on the axis of ``VOWELS``, 0 to 4.
        frication: Centre in Hz of the noise that takes the vowel's place where unvoiced.
    """

    pitch: Frames
    level: Frames
    voicing: Frames
    vowel: Frames
    frication: Frames


def utter(voice: Voice, articulation: Articulation, rng: np.random.Generator) -> Frames:
    """Return the waveform of an articulation, (frames * HOP,) at 16 kHz, its peak at 1."""
    samples = len(articulation.level) * HOP
    voicing = sampled(articulation.voicing, samples)
    pulses = glottal_pulses(voice, phase(voice, sampled(articulation.pitch, samples), rng))
    breath = rng.standard_normal(samples)
    vowel = _shaped(
        voicing * (pulses + 0.15 * voice.breathiness * breath), _vowel_tract(voice, articulation)
    )
    friction = _shaped((1.0 - voicing) * breath, _friction_tract(articulation))
    balanced = voicing * levelled(vowel) + (1.0 - voicing) * levelled(friction)
    level = sampled(articulation.level, samples)
    spoken = balanced * 10.0 ** (level / 20.0)
    return np.asarray(spoken / max(float(np.abs(spoken).max()), 1e-9))


def sampled(contour: Frames, samples: int) -> Frames:
    """Return a contour at each sample."""
    return np.interp(np.arange(samples) / HOP, np.arange(len(contour)), contour)


def phase(voice: Voice, pitch: Frames, rng: np.random.Generator) -> Frames:
    """Return how many periods of a pitch in Hz have passed, whose tremble is the voice's."""
    tremble = rng.standard_normal(len(pitch) // HOP + 1)
    trembled = pitch * 2.0 ** (voice.jitter * sampled(tremble, len(pitch)))
    return np.cumsum(trembled) / SAMPLE_RATE


def glottal_pulses(voice: Voice, periods: Frames) -> Frames:
    """Return the glottal flow's derivative: open and closing by a parabola, then shut."""
    opened = periods % 1.0 / voice.openness
    # The flow t^2 (1 - t) has the derivative 2t - 3t^2, with its corner at the closure.
    return np.where(opened < 1.0, 2.0 * opened - 3.0 * opened**2, 0.0)


def _vowel_tract(voice: Voice, articulation: Articulation) -> Frames:
    """Return the gain of the vocal tract, (bins, frames of ``_shaped``)."""
    vowel = _framed(articulation.vowel)
    formants = [np.interp(vowel, np.arange(len(VOWELS)), VOWELS[:, order]) for order in range(3)]
    formants.append(np.full(len(vowel), FOURTH_FORMANT))
    frequency = np.fft.rfftfreq(WINDOW, 1 / SAMPLE_RATE)[:, None]
    gain = np.ones((len(frequency), len(vowel)))
    for formant, bandwidth in zip(formants, BANDWIDTHS, strict=True):
        centre = (formant * voice.tract)[None, :]
        turned = centre**2 - frequency**2
        gain *= centre**2 / np.sqrt(turned**2 + (bandwidth * frequency) ** 2 + 1.0)
    return gain


def _friction_tract(articulation: Articulation) -> Frames:
    """Return the gain of a noise made at a narrow place, (bins, frames of ``_shaped``)."""
    centre = _framed(articulation.frication)[None, :]
    frequency = np.maximum(np.fft.rfftfreq(WINDOW, 1 / SAMPLE_RATE)[:, None], 30.0)
    return np.asarray(np.exp(-0.5 * (np.log2(frequency / centre) / 0.6) ** 2) + 0.02)


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
