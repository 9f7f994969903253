"""The demo's sound recordings: four categories of 24 synthesised sounds."""

import zlib

import numpy as np
from scipy import ndimage

from vocalsketch.datasets.synthetic import acoustic, commercial, everyday, single
from vocalsketch.datasets.synthetic.curves import Curve
from vocalsketch.datasets.synthetic.synthesis import Recipe

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
    """Return the sound's waveform at 44.1 kHz, its peak at 0.7, over a recording's faint noise."""
    rng = generator("sound", name)
    sound = CATALOGUE[category][name](rng)
    noise = 10.0 ** (rng.uniform(-62.0, -50.0) / 20.0) * rng.standard_normal(len(sound))
    noisy = sound / np.abs(sound).max() + ndimage.gaussian_filter1d(noise, 2.0)
    return np.asarray(0.7 * noisy / np.abs(noisy).max())
