"""Synthesised imitations of any sounds, as a corpus in the folder layout that is made once."""

import hashlib
import json
import multiprocessing
import os
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
from tqdm import tqdm

from vocalsketch.datasets.discovery import list_audio
from vocalsketch.datasets.folder import load_folder
from vocalsketch.datasets.records import Corpus
from vocalsketch.datasets.synthetic.procedural import procedural_sound
from vocalsketch.datasets.synthetic.synthesis import SAMPLE_RATE as PROCEDURAL_RATE
from vocalsketch.errors import AudioError, ConfigError, DatasetError
from vocalsketch.features.audio import read_audio
from vocalsketch.features.threads import available_cores
from vocalsketch.files import cache_folder, locked, write_table, written_whole
from vocalsketch.voice.imitate import anyone, imitated, listen
from vocalsketch.voice.listening import SAMPLE_RATE

VERSION = 1  # raised whenever the voice changes, so that imitations in the cache are made again
LONGEST = 4.0  # seconds of a sound that are imitated
TABLE = "imitations.csv"
COLUMNS = ("imitation", "sound", "person", "seed")


@dataclass(frozen=True)
class ImitatedSound:
    """A sound to imitate."""

    name: str  # under which its imitations are filed
    file: Path  # where it lies in the corpus that is made
    folder: Path  # of its imitations
    people: int  # how many imitate it
    seed: int  # of all drawing

    def path_of(self, person: int) -> Path:
        """Return where a person's imitation lies."""
        return self.folder / f"person{person + 1:02d}.wav"


@dataclass(frozen=True)
class Imitating:
    """What making imitations came to."""

    sounds: int  # that have imitations
    imitations: int  # of them, those made before included
    unusable: dict[str, str] = field(default_factory=dict)  # files that cannot be imitated, and why


def imitate_folders(
    folders: Sequence[Path],
    out: Path,
    *,
    procedural: int = 0,
    people: int = 6,
    seed: int = 0,
    jobs: int | None = None,
) -> Imitating:
    """Write a corpus of sounds and synthesised imitations of them, which ``fit`` takes.

    Sounds are linked, imitations are ``imitations/<sound>/person<n>.wav``, and ``imitations.csv``
    says who did what. A call that was interrupted goes on where it was; the same seed gives the
    same bytes, whatever the number of processes.

    Args:
        folders: Of sounds; the folder around a sound is its category.
        out: Where the corpus lies.
        procedural: Number of procedural sounds beside them.
        people: Each imitates every sound once.
        seed: Of all drawing.
        jobs: Processes; all cores if left out.

    Raises:
        DatasetError: There is no sound, or none that can be imitated.
        StorageError: The disk is full, or the folder cannot be written.
    """
    for name, value, least in (("people", people, 1), ("procedural", procedural, 0)):
        if value < least:
            raise ConfigError(f"{name} is {value}: give {least} or more.")
    sounds = [*_linked(folders, out), *_procedural(procedural, out, seed)]
    if not sounds:
        where = ", ".join(map(str, folders)) or "no folder at all"
        raise DatasetError(f"No sound lies in {where}: give other folders, or procedural sounds.")
    todo = [
        ImitatedSound(file.stem, file, out / "imitations" / file.stem, people, seed)
        for file in sounds
    ]
    unusable = {name: reason for name, reason in _made(todo, jobs or available_cores()) if reason}
    for each in todo:
        if each.name in unusable:
            each.file.unlink()
    usable = [each for each in todo if each.name not in unusable]
    if not usable:
        first = next(iter(unusable.values()))
        raise DatasetError(f"None of {len(todo)} sounds can be imitated; of the first: {first}")
    write_table(out / TABLE, COLUMNS, (row for each in usable for row in _rows(out, each)))
    return Imitating(len(usable), len(usable) * people, unusable)


def imitated_corpus(
    folders: Sequence[str], procedural: int, people: int, seed: int, jobs: int | None
) -> Corpus:
    """Return such a corpus from the cache folder, where it is made if it is not there.

    Raises:
        DatasetError: As ``imitate_folders``.
        StorageError: As ``imitate_folders``.
    """
    paths = [Path(each).expanduser() for each in folders]
    listed = [
        (str(path.resolve()), each.path, each.size, each.changed)
        for path in paths
        for each in list_audio(path).files
    ]
    key = json.dumps([VERSION, listed, procedural, people, seed])
    name = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    out = cache_folder() / "imitated" / name
    with locked(out.with_suffix(".lock"), "", wait=-1):
        if not (out / TABLE).exists():
            imitate_folders(paths, out, procedural=procedural, people=people, seed=seed, jobs=jobs)
    return load_folder(out)


def _linked(folders: Sequence[Path], out: Path) -> Iterator[Path]:
    """Link the sounds into the corpus, under names of their own; yield where."""
    found = [(folder, Path(each.path)) for folder in folders for each in list_audio(folder).files]
    times = Counter(path.stem for _, path in found)
    for folder, path in found:
        whole = (folder / path).resolve()
        mark = f"-{zlib.crc32(os.fsencode(whole)):08x}" if times[path.stem] > 1 else ""
        category = path.parts[-2] if len(path.parts) > 1 else folder.resolve().name
        place = out / "sounds" / category / f"{path.stem}{mark}{path.suffix}"
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.is_symlink():
            place.symlink_to(whole)
        yield place


def _procedural(count: int, out: Path, seed: int) -> Iterator[Path]:
    """Make procedural sounds; yield where."""
    for number in tqdm(range(count), desc="procedural sounds", unit="sound", disable=not count):
        place = out / "sounds" / "procedural" / f"procedural-{number:05d}.wav"
        if not place.exists():
            waveform = procedural_sound(np.random.default_rng([seed, number]))
            _write_wav(place, waveform, PROCEDURAL_RATE)
        yield place


def _made(todo: Sequence[ImitatedSound], jobs: int) -> Iterator[tuple[str, str]]:
    """Make what is missing; yield each sound's name, and why it cannot be imitated."""
    if jobs == 1 or len(todo) < 2 * jobs:
        yield from _bar(map(_imitate_sound, todo), len(todo))
        return
    context = multiprocessing.get_context("spawn")  # a fork would inherit threads halfway
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        try:
            yield from _bar(pool.map(_imitate_sound, todo, chunksize=8), len(todo))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _bar(made: Iterator[tuple[str, str]], total: int) -> Iterator[tuple[str, str]]:
    yield from tqdm(made, desc="imitations", unit="sound", total=total)


def _imitate_sound(sound: ImitatedSound) -> tuple[str, str]:
    missing = [n for n in range(sound.people) if not sound.path_of(n).exists()]
    if not missing:
        return sound.name, ""
    try:
        waveform, rate = read_audio(sound.file, seconds=LONGEST)
        heard = listen(waveform, rate)
    except AudioError as error:
        return sound.name, str(error)
    for number in missing:
        # somebody's voice is the same for all sounds, what they do with one is not
        person = anyone(np.random.default_rng([sound.seed, number]))
        name = zlib.crc32(sound.name.encode("utf-8", "surrogateescape"))
        spoken = imitated(heard, person, np.random.default_rng([sound.seed, number, name]))
        _write_wav(sound.path_of(number), spoken, SAMPLE_RATE)
    return sound.name, ""


def _write_wav(file: Path, waveform: np.ndarray, rate: int) -> None:
    with written_whole(file) as temporary:
        soundfile.write(temporary, waveform, rate, format="WAV", subtype="PCM_16")


def _rows(out: Path, sound: ImitatedSound) -> Iterator[tuple[object, ...]]:
    source = sound.file.relative_to(out).as_posix()
    for number in range(sound.people):
        path = sound.path_of(number).relative_to(out).as_posix()
        yield path, source, f"person{number + 1:02d}", sound.seed
