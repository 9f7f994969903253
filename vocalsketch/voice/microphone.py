"""What lies between a mouth and a file: a room, a cheap microphone, a phone, a codec, a hand."""

import numpy as np
from scipy import fft, ndimage, signal

from vocalsketch.voice.listening import SAMPLE_RATE, Frames

Samples = np.ndarray


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
        sound *= _gate(sound)
    if rng.random() < 0.15:
        sound = np.tanh(rng.uniform(1.5, 6.0) * sound)
    sound *= 10.0 ** (rng.uniform(-20.0, -0.2) / 20.0) / np.abs(sound).max()
    if rng.random() < 0.15:
        sound = _companded(sound)
    return np.asarray(sound, dtype=np.float64)


def _in_a_room(sound: Samples, rng: np.random.Generator) -> Samples:
    """Return the sound through a room and the microphone's response, both in one transform."""
    tail = rng.standard_normal(2_400)
    tail *= np.exp(-np.arange(len(tail)) / (np.exp(rng.uniform(-5.3, -3.2)) * SAMPLE_RATE))
    tail *= rng.uniform(0.0, 0.12)
    tail[0] = 1.0
    length = fft.next_fast_len(len(sound) + len(tail), real=True)
    frequency = np.maximum(fft.rfftfreq(length, 1 / SAMPLE_RATE), 1.0)
    response = _response(frequency, rng)
    heard = fft.irfft(fft.rfft(sound, length) * fft.rfft(tail, length) * response, length)
    return np.asarray(heard[: len(sound) + len(tail) // 2])


def _response(frequency: Samples, rng: np.random.Generator) -> Samples:
    """Return gains: a tilt, and for some devices a lower and an upper limit."""
    gain = (frequency / 1_000.0) ** rng.normal(0.0, 0.15)
    if rng.random() < 0.5:
        low = np.exp(rng.uniform(np.log(60.0), np.log(400.0)))
        gain = gain / np.sqrt(1.0 + (low / frequency) ** 4)
    if rng.random() < 0.4:
        high = np.exp(rng.uniform(np.log(3_000.0), np.log(7_500.0)))
        gain = gain / np.sqrt(1.0 + (frequency / high) ** 16)
    return np.asarray(gain)


def _background(samples: int, rng: np.random.Generator) -> Samples:
    noise = rng.standard_normal(samples)
    noise = signal.lfilter([1.0], [1.0, -rng.uniform(0.0, 0.95)], noise)
    noise *= 10.0 ** (rng.uniform(-75.0, -32.0) / 20.0) / noise.std()
    if rng.random() < 0.15:
        turn = 2.0 * np.pi * rng.choice([50.0, 60.0]) * np.arange(samples) / SAMPLE_RATE
        hum = sum(rng.random() * np.sin(order * turn) for order in (1, 2, 3, 4))
        noise = noise + 10.0 ** (rng.uniform(-60.0, -34.0) / 20.0) * hum
    return np.asarray(noise)


def _touch(sound: Samples, rng: np.random.Generator) -> None:
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


def _gate(sound: Samples) -> Samples:
    power = np.maximum(ndimage.uniform_filter1d(sound**2, 800), 0.0)
    return np.asarray(ndimage.uniform_filter1d((power > 1e-4 * power.max()).astype(float), 400))


def _companded(sound: Samples) -> Samples:
    """Return the sound in 8 bits as telephones send it (mu-law)."""
    pressed = np.sign(sound) * np.log1p(255.0 * np.abs(sound)) / np.log(256.0)
    pressed = np.round(127.0 * pressed) / 127.0
    return np.asarray(np.sign(pressed) * (256.0 ** np.abs(pressed) - 1.0) / 255.0)
