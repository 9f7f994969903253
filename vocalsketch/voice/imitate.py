"""Imitations of any recording, by anyone, in any manner, as somebody's device records them."""

import numpy as np
import soxr
from numpy.typing import NDArray
from scipy import fft, ndimage, signal

from vocalsketch.errors import AudioError
from vocalsketch.voice.listening import FLOOR, HOP, SAMPLE_RATE, Frames, Heard, heard
from vocalsketch.voice.manner import Manner, manner, performed
from vocalsketch.voice.people import (
    BANDWIDTHS,
    FOURTH_FORMANT,
    VOWELS,
    Person,
    glottal_pulses,
    imitation,
    levelled,
    phase,
    sampled,
    sung,
)

WINDOW = 512  # samples of the frames in which the tract moves: 32 ms
STRIDE = 256  # samples between them
CLOSELY = 0.5  # of all imitations: networks that hear both kinds find more, people's too
LOUD_ENOUGH = 1e-5  # of a full-scale sample: a peak below it is silence


def listen(waveform: NDArray[np.floating], sample_rate: int = SAMPLE_RATE) -> Heard:
    """Return what an imitator hears in a recording (samples,), mono; listen once, imitate often.

    Raises:
        AudioError: The recording is silent or holds samples that are not finite.
    """
    clip = np.asarray(waveform, dtype=np.float64)
    if not len(clip) or not np.isfinite(clip).all() or np.abs(clip).max() < LOUD_ENOUGH:
        raise AudioError(
            f"Nothing can be imitated in a recording of {len(clip)} samples at {sample_rate} Hz: "
            "it is silent, or holds samples that are not finite. Give one that can be heard."
        )
    if sample_rate != SAMPLE_RATE:
        clip = soxr.resample(clip, sample_rate, SAMPLE_RATE)
    return heard(clip)


def imitate(sound: Heard, person: Person, rng: np.random.Generator) -> Frames:
    """Return a vocal imitation of what was heard, (samples,) at 16 kHz in [-1, 1], 4 s at most.

    Half of them follow the sound as closely as the voice can, the others in a manner of their own.
    ``listen`` hears a recording; ``anyone`` draws a person; the same state of ``rng`` gives the
    same manner, wavering and device, and bytes.
    """
    if rng.random() < CLOSELY:
        return imitation(person, sound, rng)
    how = manner(sound, rng)
    followed, onsets = performed(sound, person, how, rng)
    return taken_down(_spoken(followed, onsets, person, how, rng), rng)


def _spoken(
    sound: Heard, onsets: list[int], person: Person, how: Manner, rng: np.random.Generator
) -> Frames:
    """Return the voice, (samples,), its peak at 1."""
    samples = len(sound.loudness) * HOP
    voicing = _voicing(sound, person, how, rng)
    whistled = how.source == "whistled"
    pitch = sung(sound, person, rng) * (5.0 if whistled else 1.0)
    noise = rng.standard_normal(samples).astype(np.float32)
    level = _level(sound.loudness, onsets, person, how)
    middle = float(np.average(sound.brightness, weights=10.0 ** (sound.loudness / 20.0)))
    motion = how.bright_slope * (sound.brightness - middle)
    wander = ndimage.gaussian_filter1d(rng.normal(0.0, 0.6, len(motion)), 12)
    brightness = np.asarray(middle + how.bright_offset + motion + wander)
    voiced = sampled(voicing, samples)
    periods = phase(person, sampled(pitch, samples), rng)
    if whistled:
        breath, tract = np.sin(2.0 * np.pi * periods), None
    else:
        breath = glottal_pulses(person, periods) + 0.15 * person.breathiness * noise
        tract = _vowel_gains(brightness, person, how)
    # noises are made at a narrow place, octaves above 55 Hz
    centre = np.clip(0.85 * _framed(brightness) + 1.2, 2.0, 7.0)[:, None]
    octaves = np.log2(np.maximum(np.fft.rfftfreq(WINDOW, 1 / SAMPLE_RATE), 30.0) / 55.0)
    away = (octaves[None, :] - centre) / how.friction_width
    friction = np.asarray(np.exp(-0.5 * away**2) + 0.01, dtype=np.float32)
    spoken = voiced * levelled(_shaped(voiced * breath, tract))
    spoken += (1.0 - voiced) * levelled(_shaped((1.0 - voiced) * noise, friction))
    spoken *= 10.0 ** (sampled(level, samples) / 20.0)
    for onset in onsets if how.consonant != "none" else ():
        _articulate(spoken, onset, brightness[onset], how, rng)
    return np.asarray(spoken / max(float(np.abs(spoken).max()), 1e-9))


def _voicing(sound: Heard, person: Person, how: Manner, rng: np.random.Generator) -> Frames:
    if how.source == "whispered":
        return np.zeros(len(sound.pitch))
    if how.source in ("hummed", "whistled"):
        return np.ones(len(sound.pitch))
    threshold = person.threshold + rng.normal(0.0, 0.08)
    voicing = 1.0 / (1.0 + np.exp(-(sound.periodicity - threshold) / 0.06))
    if how.consonant in ("plosive", "fricative") and rng.random() < 0.3:
        return np.maximum(voicing, 0.0) * (0.2 if voicing.mean() < 0.3 else 1.0)
    return np.asarray(voicing)


def _level(loudness: Frames, onsets: list[int], person: Person, how: Manner) -> Frames:
    """Return dB below full level; a trill interrupts it."""
    level = np.where(loudness < FLOOR + 8.0, FLOOR, person.compression * loudness)
    if how.consonant == "plosive" and how.syllabic:
        for onset in onsets:  # the lips are shut for a moment
            level[max(onset - 5, 0) : max(onset - 1, 0)] -= 30.0
    level = np.asarray(ndimage.gaussian_filter1d(level, 0.6))
    if how.trill:
        turn = 2.0 * np.pi * how.trill * np.arange(len(level)) * HOP / SAMPLE_RATE
        level = level - 9.0 * (1.0 + np.sin(turn))
    return level


def _vowel_gains(brightness: Frames, person: Person, how: Manner) -> np.ndarray:
    """Return the tract's gains, (frames of ``_shaped``, bins), from a table over the vowels."""
    axis = np.linspace(0.0, len(VOWELS) - 1.0, 33)
    frequency = np.fft.rfftfreq(WINDOW, 1 / SAMPLE_RATE)[None, :]
    table = np.ones((len(axis), frequency.shape[1]))
    for order, bandwidth in enumerate(BANDWIDTHS):
        formant = (
            np.interp(axis, np.arange(len(VOWELS)), VOWELS[:, order])
            if order < 3
            else np.full(len(axis), FOURTH_FORMANT)
        )
        centre = (formant * person.tract)[:, None]
        table *= centre**2 / np.hypot(centre**2 - frequency**2, bandwidth * frequency + 1.0)
    if how.source == "hummed" and how.consonant == "nasal":  # the mouth is shut: mm
        table *= 1.0 / (1.0 + (frequency / 450.0) ** 3)
    vowel = np.clip(1.1 * (_framed(brightness) - 2.0), 0.0, 4.0)
    return np.asarray(table[np.round(8.0 * vowel).astype(int)].astype(np.float32))


def _articulate(
    spoken: Frames, onset: int, brightness: float, how: Manner, rng: np.random.Generator
) -> None:
    """Add an onset's consonant: a burst of the lips or the tongue, a click, a short friction."""
    seconds = {"plosive": 0.012, "click": 0.004, "fricative": 0.06, "nasal": 0.02}[how.consonant]
    length = round(seconds * rng.uniform(0.6, 1.8) * SAMPLE_RATE)
    start = onset * HOP - (length // 2 if how.consonant == "fricative" else 0)
    start = max(start, 0)
    room = len(spoken) - start
    noise = rng.standard_normal(2 * length)
    centre = 55.0 * 2.0 ** float(np.clip(brightness + rng.normal(0.5, 0.4), 1.5, 6.8))
    spectrum = fft.rfft(noise)
    frequency = np.maximum(fft.rfftfreq(2 * length, 1 / SAMPLE_RATE), 30.0)
    spectrum *= np.exp(-0.5 * (np.log2(frequency / centre) / 0.8) ** 2)
    burst = fft.irfft(spectrum, 2 * length)
    places = np.arange(2 * length) / length
    burst *= np.exp(-2.0 * places) if how.consonant != "fricative" else np.sin(np.pi * places / 2)
    near = np.abs(spoken[start : start + 1_600])
    strength = rng.uniform(0.3, 1.5) * max(float(near.max(initial=0.0)), 1e-4)
    burst *= strength / max(float(np.abs(burst).max()), 1e-9)
    spoken[start : start + 2 * length] += burst[:room]


def _framed(contour: Frames) -> Frames:
    """Return a contour at the frames of ``_shaped``."""
    places = np.arange(0, len(contour) * HOP + WINDOW, STRIDE) / HOP
    return np.interp(places - WINDOW / 2 / HOP, np.arange(len(contour)), contour)


def _shaped(source: Frames, gains: np.ndarray | None) -> Frames:
    """Return ``source`` with each frame's spectrum multiplied by ``gains``, (frames, bins)."""
    if gains is None:
        return source
    padded = np.pad(source.astype(np.float32), (WINDOW - STRIDE, WINDOW))
    window = np.sin(np.pi * (np.arange(WINDOW, dtype=np.float32) + 0.5) / WINDOW)
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::STRIDE] * window
    count = min(len(frames), len(gains))
    shaped = fft.irfft(fft.rfft(frames[:count], axis=1) * gains[:count], axis=1) * window
    halves = shaped.reshape(count, 2, STRIDE)
    added = np.concatenate([halves[:, 0], np.zeros((1, STRIDE), np.float32)])
    added[1:] += halves[:, 1]
    return np.asarray(added.ravel()[WINDOW - STRIDE :][: len(source)], dtype=np.float64)


def taken_down(spoken: Frames, rng: np.random.Generator) -> Frames:
    """Return a voice as somebody's device records it, (samples,) at 16 kHz in [-1, 1].

    A room always; of band limits, hum, clicks, handling, gates, clipping and codecs some.
    """
    pauses = (rng.uniform(0.01, 0.25, 2) * SAMPLE_RATE).astype(int)
    sound = _in_a_room(np.pad(spoken, pauses), rng)
    sound /= max(float(np.abs(sound).max()), 1e-9)
    sound += _background(len(sound), rng)
    if rng.random() < 0.3:
        _touch(sound, rng)
    if rng.random() < 0.2:  # a phone silences what it takes for noise
        power = np.maximum(ndimage.uniform_filter1d(sound**2, 800), 0.0)
        loud = (power > 1e-4 * power.max()).astype(float)
        sound *= np.asarray(ndimage.uniform_filter1d(loud, 400))
    if rng.random() < 0.15:
        sound = np.tanh(rng.uniform(1.5, 6.0) * sound)
    sound *= 10.0 ** (rng.uniform(-20.0, -0.2) / 20.0) / np.abs(sound).max()
    if rng.random() < 0.15:
        # 8 bits as telephones send them (mu-law)
        pressed = np.sign(sound) * np.log1p(255.0 * np.abs(sound)) / np.log(256.0)
        pressed = np.round(127.0 * pressed) / 127.0
        sound = np.sign(pressed) * (256.0 ** np.abs(pressed) - 1.0) / 255.0
    return np.asarray(sound, dtype=np.float64)


def _in_a_room(sound: Frames, rng: np.random.Generator) -> Frames:
    """Return the sound through a room and a microphone: a tilt, for some limits as well."""
    tail = rng.standard_normal(2_400)
    tail *= np.exp(-np.arange(len(tail)) / (np.exp(rng.uniform(-5.3, -3.2)) * SAMPLE_RATE))
    tail *= rng.uniform(0.0, 0.12)
    tail[0] = 1.0
    length = fft.next_fast_len(len(sound) + len(tail), real=True)
    frequency = np.maximum(fft.rfftfreq(length, 1 / SAMPLE_RATE), 1.0)
    response = (frequency / 1_000.0) ** rng.normal(0.0, 0.15)
    if rng.random() < 0.5:
        low = np.exp(rng.uniform(np.log(60.0), np.log(400.0)))
        response = response / np.sqrt(1.0 + (low / frequency) ** 4)
    if rng.random() < 0.4:
        high = np.exp(rng.uniform(np.log(3_000.0), np.log(7_500.0)))
        response = response / np.sqrt(1.0 + (frequency / high) ** 16)
    heard = fft.irfft(fft.rfft(sound, length) * fft.rfft(tail, length) * response, length)
    return np.asarray(heard[: len(sound) + len(tail) // 2])


def _background(samples: int, rng: np.random.Generator) -> Frames:
    noise = rng.standard_normal(samples)
    noise = signal.lfilter([1.0], [1.0, -rng.uniform(0.0, 0.95)], noise)
    noise *= 10.0 ** (rng.uniform(-75.0, -32.0) / 20.0) / noise.std()
    if rng.random() < 0.15:
        turn = 2.0 * np.pi * rng.choice([50.0, 60.0]) * np.arange(samples) / SAMPLE_RATE
        hum = sum(rng.random() * np.sin(order * turn) for order in (1, 2, 3, 4))
        noise = noise + 10.0 ** (rng.uniform(-60.0, -34.0) / 20.0) * hum
    return np.asarray(noise)


def _touch(sound: Frames, rng: np.random.Generator) -> None:
    """Add a mouse's click or a bump, mostly at the beginning or the end."""
    for _ in range(rng.integers(1, 3)):
        length = int(rng.integers(60, 900))
        thud = rng.standard_normal(length) * np.exp(-np.arange(length) / (0.2 * length))
        thud = ndimage.gaussian_filter1d(thud, rng.uniform(0.3, 8.0))
        edge = rng.random() < 0.8
        last = len(sound) - length
        place = rng.choice([0, last - 1]) if edge else rng.integers(0, last)
        start = int(np.clip(place + rng.integers(-800, 800), 0, last - 1))
        level = 10.0 ** (rng.uniform(-40.0, -14.0) / 20.0) / max(np.abs(thud).max(), 1e-9)
        sound[start : start + length] += level * thud
