"""Built-in stand-ins for the data sets, synthesised from a seed, made once in the cache folder.

Each root holds a file ``DEMO`` that says so. No human voice and no recorded sound is in them:
a result on them says that the program works, never how well a method does. A StorageError says that
the cache folder cannot be written.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

from vocalsketch.datasets.records import DEMO_MARKER
from vocalsketch.datasets.synthetic import layout, stand_ins
from vocalsketch.files import cache_folder, locked, storage_error

VERSION = 1  # of the bytes: raised whenever they change, so that an older cache is left aside


def demo_corpus() -> Path:
    """Return the root of the demo corpus, in the layout of VocalSketch v1.0.4.

    Four categories of 24 sounds (44.1 kHz) with 10 imitations each (16 kHz), about 105 MB.
    """
    return made_once(f"vocalsketch-{VERSION}", layout.write)


def demo_languages() -> Path:
    """Return the root of the language stand-ins, in the layout of VoxForge.

    Seven 'languages' of 6 speakers with 4 clips each, 16 kHz, 2 to 4 s.
    """
    return made_once(f"voxforge-{VERSION}", stand_ins.write_languages)


def demo_urban() -> Path:
    """Return the root of the city-sound stand-ins, in the layout of UrbanSound8K.

    Ten classes of 12 clips over ten folds, 16 to 96 kHz, 1.5 to 4 s.
    """
    return made_once(f"urbansound8k-{VERSION}", stand_ins.write_urban)


def made_once(name: str, make: Callable[[Path], None]) -> Path:
    """Return the folder ``name`` of the demo data; ``make`` fills it if it is not there yet.

    Several processes may ask at once: one makes it, in a folder beside it that gets its name when
    it is whole, and the others wait. What one left behind that was killed is removed.

    Raises:
        StorageError: The cache folder cannot be written.
    """
    target = cache_folder() / "demo" / name
    unfinished = target.with_name(f".{name}.unfinished")
    if (target / DEMO_MARKER).is_file():
        return target
    with locked(target.with_name(f".{name}.lock"), "", wait=-1):
        if (target / DEMO_MARKER).is_file():
            return target
        for left in (unfinished, target):  # by a killed process; by a broken copy or a hand
            shutil.rmtree(left, ignore_errors=True)
        try:
            unfinished.mkdir()
            make(unfinished)
            unfinished.rename(target)
        except OSError as error:
            raise storage_error(target, error) from error
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return target
