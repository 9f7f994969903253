"""Built-in stand-ins for the data sets, synthesised from a seed, made once in the cache folder.

Each root holds a file ``DEMO`` that says so. No human voice and no recorded sound is in them:
a result on them says that the program works, never how well a method does. A StorageError says that
the cache folder cannot be written.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from vocalsketch.datasets.records import DEMO_MARKER
from vocalsketch.files import cache_folder, locked, made_whole

VERSION = 1  # of the sounds: raised when their bytes change, so that an older cache is left aside


def demo(kind: Literal["corpus", "languages", "urban"]) -> Path:
    """Return the root of a stand-in, made once.

    - ``corpus``, as VocalSketch v1.0.4: four categories of 24 sounds (44.1 kHz) with 10 imitations
      each (16 kHz), about 105 MB.
    - ``languages``, as VoxForge: seven of 6 speakers with 4 clips each, 16 kHz, 2 to 4 s.
    - ``urban``, as UrbanSound8K: ten classes of 12 clips over ten folds, 16 to 96 kHz, 1.5 to 4 s.
    """
    likeness = {"corpus": "vocalsketch", "languages": "voxforge", "urban": "urbansound8k"}

    def make(folder: Path) -> None:
        # Imported here: signal processing and recipes, for which what is made need not wait.
        from vocalsketch.datasets.synthetic import corpora

        getattr(corpora, f"write_{kind}")(folder)

    return made_once(f"{likeness[kind]}-{VERSION}", make)


def made_once(name: str, make: Callable[[Path], None]) -> Path:
    """Return the folder ``name`` of the demo data; ``make`` fills it if it is not there yet.

    Several processes may ask at once: one makes it, in a folder beside it that gets its name when
    it is whole, and the others wait. What one left behind that was killed is removed.
    """
    target = cache_folder() / "demo" / name
    marker = target / DEMO_MARKER
    if marker.is_file():
        return target
    with locked(target.with_name(f".{name}.lock"), "", wait=-1):
        if not marker.is_file():
            # by a broken copy or a hand; by killed processes
            for left in (target, *target.parent.glob(f".{name}.*")):
                shutil.rmtree(left, ignore_errors=True)
            with made_whole(target) as folder:
                make(folder)
    return target
