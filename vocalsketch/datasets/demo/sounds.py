"""The demo's sound recordings: four categories of 24 synthesised sounds."""

import zlib

import numpy as np

from vocalsketch.datasets.demo import acoustic, commercial, everyday, single
from vocalsketch.datasets.demo.curves import Curve
from vocalsketch.datasets.demo.synthesis import Recipe

SEED = 13_862
CATALOGUE: dict[str, dict[str, Recipe]] = {
    "acoustic instruments": acoustic.RECIPES,
    "commercial synthesizers": commercial.RECIPES,
    "everyday": everyday.RECIPES,
    "single synthesizer": single.RECIPES,
}


def generator(*names: str) -> np.random.Generator:
    """Return the random generator of the thing with these names, whatever was made before it."""
    return np.random.default_rng([SEED, *(zlib.crc32(name.encode()) for name in names)])


def recording(category: str, name: str) -> Curve:
    """Return the sound's waveform at 44.1 kHz, its peak at 0.7."""
    sound = np.asarray(CATALOGUE[category][name](generator("sound", name)))
    return np.asarray(0.7 * sound / np.abs(sound).max())
