"""Demo data are made once, in the cache folder, whole or not at all."""

import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.io import wavfile
from tqdm import tqdm

from vocalsketch.files import cache_folder, locked, storage_error

Thing = TypeVar("Thing")
Result = TypeVar("Result")

MARKER = "DEMO"  # the file that says a folder is complete, and synthetic


def made_once(name: str, make: Callable[[Path], None]) -> Path:
    """Return the folder ``name`` of the demo data; ``make`` fills it if it is not there yet.

    Several processes may ask at once: one makes it, in a folder beside it that gets its name when
    it is whole, and the others wait. What one left behind that was killed is removed.

    Raises:
        StorageError: The cache folder cannot be written.
    """
    target = cache_folder() / "demo" / name
    unfinished = target.with_name(f".{name}.unfinished")
    if (target / MARKER).is_file():
        return target
    with locked(target.with_name(f".{name}.lock"), "", wait=-1):
        if (target / MARKER).is_file():
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


def made_together(
    make: Callable[[Thing], Result], things: Sequence[Thing], what: str, unit: str
) -> list[Result]:
    """Return ``make`` of each thing, in their order, on all cores under a progress bar.

    Threads do, since numpy and scipy let others run while they compute; unlike processes they
    can be started from a notebook, a script without a main guard and a data loader's worker.
    """
    with ThreadPoolExecutor() as pool:
        return list(tqdm(pool.map(make, things), desc=what, total=len(things), unit=unit))


def write_wav(path: Path, waveform: NDArray[np.floating], sample_rate: int) -> None:
    """Write a mono 16-bit file; ``waveform`` is (samples,) in [-1, 1]."""
    path.parent.mkdir(parents=True, exist_ok=True)
    wavfile.write(path, sample_rate, np.round(waveform * 32_767.0).astype(np.int16))
