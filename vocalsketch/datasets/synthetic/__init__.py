"""Built-in stand-ins for the data sets, synthesised from a seed, made once in the cache folder.

Each root holds a file ``DEMO`` that says so. No human voice and no recorded sound is in them:
a result on them says that the program works, never how well a method does. A StorageError says that
the cache folder cannot be written.
"""

from pathlib import Path

from vocalsketch.datasets.synthetic import languages, layout, urban
from vocalsketch.datasets.synthetic.cache import MARKER, made_once

VERSION = 1  # of the bytes: raised whenever they change, so that an older cache is left aside

__all__ = ["MARKER", "demo_corpus", "demo_languages", "demo_urban"]


def demo_corpus() -> Path:
    """Return the root of the demo corpus, in the layout of VocalSketch v1.0.4.

    Four categories of 24 sounds (44.1 kHz) with 10 imitations each (16 kHz), about 105 MB.
    """
    return made_once(f"vocalsketch-{VERSION}", layout.write)


def demo_languages() -> Path:
    """Return the root of the language stand-ins, in the layout of VoxForge.

    Seven 'languages' of 6 speakers with 4 clips each, 16 kHz, 2 to 4 s.
    """
    return made_once(f"voxforge-{VERSION}", languages.write)


def demo_urban() -> Path:
    """Return the root of the city-sound stand-ins, in the layout of UrbanSound8K.

    Ten classes of 12 clips over ten folds, 16 to 96 kHz, 1.5 to 4 s.
    """
    return made_once(f"urbansound8k-{VERSION}", urban.write)
