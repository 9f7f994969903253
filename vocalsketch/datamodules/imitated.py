"""Synthesised imitations of any sounds, as a corpus in the folder layout that is made once."""

import hashlib
import json
import os
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from tqdm import tqdm

from vocalsketch.datasets.discovery import Listing, counted, list_audio
from vocalsketch.datasets.imitation_sets import load_folder
from vocalsketch.datasets.records import Corpus
from vocalsketch.datasets.synthetic.procedural import procedural_sound
from vocalsketch.datasets.synthetic.sounds import SAMPLE_RATE as PROCEDURAL_RATE
from vocalsketch.errors import AudioError, DatasetError, refuse_below
from vocalsketch.features.audio import read_audio
from vocalsketch.files import cache_folder, locked, write_table, written_whole
from vocalsketch.spread.batches import spread
from vocalsketch.spread.threads import available_cores
from vocalsketch.voice.imitate import imitate, listen
from vocalsketch.voice.listening import SAMPLE_RATE
from vocalsketch.voice.people import anyone

VERSION = 2  # raised whenever the voice changes, so that imitations in the cache are made again
LONGEST = 4.0  # seconds of a sound that are imitated
TABLE = "imitations.csv"
COLUMNS = ("imitation", "sound", "person", "seed")


class Imitating(NamedTuple):
    """What making imitations came to."""

    sounds: int  # that have imitations
    imitations: int  # of them, those made before included
    left_out: list[str]  # a line for each file that cannot be imitated, one for what is no sound


def imitate_folders(
    folders: Sequence[Path],
    out: Path,
    *,
    procedural: int = 0,
    people: int = 6,
    seed: int = 0,
    jobs: int | None = None,
    ray: str | None = None,
    most: int | None = None,
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
        ray: The address of a Ray cluster that imitates instead, as ``cluster`` takes it; its
            machines have to see the folders and ``out``.
        most: Sounds of the folders that are imitated, drawn at random; all if left out.

    Raises:
        DatasetError: There is no sound, or none that can be imitated.
        StorageError: The disk is full, or the folder cannot be written.
    """
    refuse_below(1, people=people)
    refuse_below(0, procedural=procedural)
    listings = {folder: list_audio(folder) for folder in folders}
    sounds = [_Wanted(file) for file in _linked(listings, out, most, seed)]
    made = out / "sounds" / "procedural"
    sounds += [_Wanted(made / f"procedural-{n:05d}.wav", n) for n in range(procedural)]
    if not sounds:
        where = ", ".join(map(str, folders)) or "no folder at all"
        raise DatasetError(f"No sound lies in {where}: give other folders, or procedural sounds.")
    jobs = jobs or available_cores()
    work = partial(_imitate_sound, out=out, people=people, seed=seed)
    few = len(sounds) < 2 * jobs
    done = spread(work, sounds, 1 if few else jobs, processes=True, ray=ray, shared=out)
    told = sorted(tqdm(done, desc="imitations", unit="sound", total=len(sounds)))
    refused = {file: reason for file, reason in told if reason}
    for file in refused:
        file.unlink()
    usable = [each.file for each in sounds if each.file not in refused]
    if not usable:
        first = next(iter(refused.values()))
        raise DatasetError(f"None of {len(sounds)} sounds can be imitated; of the first: {first}")
    rows = (
        (_path(out, file, n).relative_to(out), file.relative_to(out), f"person{n + 1:02d}", seed)
        for file in usable
        for n in range(people)
    )
    write_table(out / TABLE, COLUMNS, rows)
    unusable = {file.stem: reason for file, reason in refused.items()} | {
        str(folder / path): reason
        for folder, listing in listings.items()
        for path, reason in listing.unusable.items()
    }
    left_out = [f"not imitated: {name}: {reason}" for name, reason in unusable.items()]
    others = sum((listing.others for listing in listings.values()), Counter())
    left_out += [counted(others)] if others else []
    return Imitating(len(usable), len(usable) * people, left_out)


def imitated_corpus(
    folders: Sequence[str],
    procedural: int,
    people: int,
    seed: int,
    jobs: int | None,
    ray: str | None = None,
    most: int | None = None,
) -> Corpus:
    """Return such a corpus from the cache folder, where it is made if it is not there."""
    paths = [Path(each).expanduser() for each in folders]
    listed = [
        (str(path.resolve()), each.path, each.size, each.changed)
        for path in paths
        for each in list_audio(path).files
    ]
    key = json.dumps([VERSION, listed, procedural, people, seed, most])
    name = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    out = cache_folder() / "imitated" / name
    with locked(out.with_suffix(".lock"), "", wait=-1):
        if not (out / TABLE).exists():
            drawn = {"procedural": procedural, "people": people, "seed": seed}
            made = imitate_folders(paths, out, **drawn, jobs=jobs, ray=ray, most=most)
            for line in made.left_out:
                print(line)
    return load_folder(out)


def _linked(
    listings: Mapping[Path, Listing], out: Path, most: int | None, seed: int
) -> Iterator[Path]:
    """Link the sounds into the corpus, under names of their own; yield where."""
    found = [
        (folder, Path(each.path)) for folder, listing in listings.items() for each in listing.files
    ]
    if most is not None and len(found) > most:
        drawn = np.random.default_rng(seed).choice(len(found), most, replace=False)
        found = [found[number] for number in sorted(drawn)]
    times = Counter(path.stem for _, path in found)
    for folder, path in found:
        whole = (folder / path).resolve()
        mark = f"-{zlib.crc32(os.fsencode(whole)):08x}" if times[path.stem] > 1 else ""
        category = path.parts[-2] if len(path.parts) > 1 else folder.resolve().name.lstrip(".")
        place = out / "sounds" / category / f"{path.stem}{mark}{path.suffix}"
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.is_symlink():
            place.symlink_to(whole)
        yield place


def _path(out: Path, file: Path, person: int) -> Path:
    """Return where a person's imitation of a sound lies."""
    return out / "imitations" / file.stem / f"person{person + 1:02d}.wav"


class _Wanted(NamedTuple):
    """A sound to be imitated."""

    file: Path
    number: int | None = None  # of a procedural sound, which is made as well


def _imitate_sound(sound: _Wanted, out: Path, people: int, seed: int) -> tuple[Path, str]:
    """Make what is missing; return the sound, and why it cannot be imitated."""
    file, number = sound
    if number is not None and not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        _write_wav(file, procedural_sound(np.random.default_rng([seed, number])), PROCEDURAL_RATE)
    missing = [n for n in range(people) if not _path(out, file, n).exists()]
    if not missing:
        return file, ""
    try:
        heard = listen(*read_audio(file, seconds=LONGEST))
    except AudioError as error:
        return file, str(error)
    for who in missing:
        # somebody's voice is the same for all sounds, what they do with one is not
        person = anyone(np.random.default_rng([seed, who]))
        name = zlib.crc32(file.stem.encode("utf-8", "surrogateescape"))
        spoken = imitate(heard, person, np.random.default_rng([seed, who, name]))
        _write_wav(_path(out, file, who), spoken, SAMPLE_RATE)
    return file, ""


def _write_wav(file: Path, waveform: np.ndarray, rate: int) -> None:
    with written_whole(file) as temporary:
        soundfile.write(temporary, waveform, rate, format="WAV", subtype="PCM_16")
