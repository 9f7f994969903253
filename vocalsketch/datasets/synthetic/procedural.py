"""Sounds without end, drawn at random: what imitations are synthesised from for training.

Each family is a way in which things sound (struck, blown, poured, torn ...), as families.yaml says.
A sound is drawn from one family, or from two, layered or one after the other, and set in a room.
"""

from functools import partial
from typing import Any

import numpy as np
from scipy import ndimage, signal

from vocalsketch.datasets.synthetic.sounds import SAMPLE_RATE, Curve, Part, made, recipes, strikes

Rng = np.random.Generator
LONGEST = 4.0  # seconds
SHORT = 0.25  # of the sounds: hits, clicks, drops, of which recordings hold many

# Of each family and each drum: how often it is drawn beside the others, its seconds, its recipe
PARTS, FAMILIES, DRUMS = recipes("families.yaml")


def procedural_sound(rng: Rng) -> Curve:
    """Return a random sound at 44.1 kHz, 0.06 to 4 s, its peak at 0.7."""
    return family_sound(_drawn_of(FAMILIES, rng), rng)


def family_sound(name: str, rng: Rng) -> Curve:
    """Return a random sound of one of ``FAMILIES``, like ``procedural_sound``."""
    sound = _sound(name, rng)
    loudest = np.abs(sound).max()
    if loudest < 1e-9:  # every strike fell outside of the clip
        return family_sound(name, rng)
    if rng.random() < SHORT:
        # the beginning of its loudest part, which falls away within half a second
        envelope = ndimage.maximum_filter1d(np.abs(sound), 2_000)
        start = int(np.argmax(envelope > 0.3 * envelope.max()))
        seconds = _between(rng, 0.05, 0.5)
        part = sound[start : start + round(seconds * SAMPLE_RATE)]
        falling = strikes(len(part) / SAMPLE_RATE, [0.0], 0.35 * seconds, 0.001)
        sound = np.pad(part * falling, (0, 441))
    sound = sound / np.abs(sound).max()
    if rng.random() < 0.5:  # a room
        tail = rng.standard_normal(round(0.5 * SAMPLE_RATE))
        tail *= np.exp(-np.arange(len(tail)) / (_between(rng, 0.01, 0.15) * SAMPLE_RATE))
        tail *= rng.uniform(0.005, 0.08)
        tail[0] = 1.0
        sound = signal.fftconvolve(sound, tail)[: round(LONGEST * SAMPLE_RATE)]
    noise = ndimage.gaussian_filter1d(rng.standard_normal(len(sound)), rng.uniform(0.3, 4.0))
    noisy = sound / np.abs(sound).max() + 10.0 ** (rng.uniform(-75.0, -45.0) / 20.0) * noise
    return np.asarray(0.7 * noisy / np.abs(noisy).max())


def _drawn_of(kinds: dict[str, Any], rng: Rng) -> str:
    chances = np.array([chance for chance, *_ in kinds.values()])
    return str(rng.choice(list(kinds), p=chances / chances.sum()))


def _sound(name: str, rng: Rng) -> Curve:
    if name == "pair":
        return _pair(rng)
    if name == "drum":
        return _of_recipe(DRUMS[_drawn_of(DRUMS, rng)], rng)
    return _of_recipe(FAMILIES[name], rng)


def _of_recipe(family: Any, rng: Rng) -> Curve:
    """Return a sound by a family's recipe, its length drawn first."""
    between = partial(_between, rng)

    def bubbles(seconds: float, number: float, low: float, high: float) -> Curve:
        sound = np.zeros(round(seconds * SAMPLE_RATE))
        for time in rng.uniform(0.0, seconds, int(number)):
            start = round(time * SAMPLE_RATE)
            bubble = rng.random() * made(PARTS["bubble"], rng, low=low, high=high, between=between)
            part = bubble[: len(sound) - start]
            sound[start : start + len(part)] += part
        return sound

    words: dict[str, Any] = {name: Part(recipe) for name, recipe in PARTS.items()}
    words |= {function.__name__: function for function in (balanced, ringing, before, highpassed)}
    words |= {"between": between, "bubbles": bubbles, "drum": partial(_sound, "drum", rng)}
    _, seconds, recipe = family
    return made(recipe, rng, **words, lowest=70.0, highest=2_500.0, seconds=between(*seconds))


def _pair(rng: Rng) -> Curve:
    """Return two sounds, one after the other or together."""
    simple = [name for name in FAMILIES if name != "pair"]
    first, second = (_sound(str(rng.choice(simple)), rng) for _ in range(2))
    first, second = (each / max(np.abs(each).max(), 1e-9) for each in (first, second))
    level = rng.uniform(0.2, 1.0)
    if rng.random() < 0.6:
        joined = np.concatenate([first[: round(2.5 * SAMPLE_RATE)], level * second])
        return joined[: round(LONGEST * SAMPLE_RATE)]
    longest = max(len(first), len(second))
    first, second = (np.pad(each, (0, longest - len(each))) for each in (first, second))
    return first + level * second


def _between(rng: Rng, low: float, high: float) -> float:
    """Return a number between two, even to the ear (log-uniform)."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def before(last: float, times: Any) -> list[float]:
    """Return those times that come before the last; one at least."""
    return [float(time) for time in times if time < last] or [0.01]


def balanced(*parts: tuple[float, Curve]) -> Curve:
    """Return sounds added up, each at a share of an equal level."""
    return np.asarray(sum(share * sound / max(sound.std(), 1e-6) for share, sound in parts))


def ringing(share: float, noise: Curve, ring: Curve) -> Curve:
    """Return noise and a share of a ring, their peaks at an equal level."""
    ringing = share * ring / max(np.abs(ring).max(), 1e-9)
    return np.asarray((1.0 - share) * noise / np.abs(noise).max() + ringing)


def highpassed(sound: Curve, cutoff: float) -> Curve:
    """Return a sound without what is below a frequency, Hz."""
    sections = signal.butter(4, cutoff, "high", fs=SAMPLE_RATE, output="sos")
    return np.asarray(signal.sosfilt(sections, sound))
