"""Built-in stand-ins for the data sets, synthesised from a seed, made once in the cache folder."""

from pathlib import Path

from vocalsketch.datasets.demo import layout
from vocalsketch.datasets.demo.cache import made_once

VERSION = 1  # of the bytes; raised whenever they change

__all__ = ["demo_corpus"]


def demo_corpus() -> Path:
    """Return the root of the demo corpus, in the layout of VocalSketch v1.0.4."""
    return made_once(f"vocalsketch-{VERSION}", layout.make)
