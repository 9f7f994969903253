"""Demo data are made once, in the cache folder, whole or not at all."""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.io import wavfile
from tqdm import tqdm

from vocalsketch.errors import StorageError
from vocalsketch.storage import cache_folder

Thing = TypeVar("Thing")
Result = TypeVar("Result")

MARKER = "DEMO"  # the file that says a folder is complete, and synthetic


def made_once(name: str, make: Callable[[Path], None]) -> Path:
    """Return the folder ``name`` of the demo data; ``make`` fills it if it is not there yet.

    Several processes may ask at once: each works in a folder of its own, the first to finish
    gives it its name, and the others use that one.

    Raises:
        StorageError: The cache folder cannot be written.
    """
    target = cache_folder() / "demo" / name
    if (target / MARKER).is_file():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=target.parent))
    except OSError as error:
        raise _refused(target, error) from error
    try:
        make(unfinished)
        unfinished.chmod(0o755)
        _put(unfinished, target)
    except OSError as error:
        raise _refused(target, error) from error
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


def _put(finished: Path, target: Path) -> None:
    if target.is_dir() and not (target / MARKER).is_file():
        shutil.rmtree(target)  # what a broken copy or a hand left behind
    try:
        finished.rename(target)
    except OSError:
        if not (target / MARKER).is_file():
            raise


def _refused(target: Path, error: OSError) -> StorageError:
    reason = error.strerror or str(error)
    return StorageError(
        f"Cannot make the demo data in {target} ({reason}): "
        "free some space there, or set VOCALSKETCH_CACHE to another folder."
    )
