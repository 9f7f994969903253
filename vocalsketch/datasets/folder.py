"""People's own pairs: a folder of sounds and imitations, or a CSV file that names them."""

import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from vocalsketch.datasets.records import (
    FILE_GONE,
    Corpus,
    Imitation,
    OnBadAudio,
    Sound,
    assemble,
    gone_files,
    named,
)
from vocalsketch.datasets.tables import read_rows
from vocalsketch.errors import DatasetError

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff")
ONE_CATEGORY = "sounds"


def load_folder(root: Path, *, on_bad_audio: OnBadAudio = "error") -> Corpus:
    """Read one's own sounds and imitations of them.

    Either ``root`` is a folder with ``sounds/x.wav`` or ``sounds/<category>/x.wav`` and
    ``imitations/<sound stem>/*.wav`` (any of ``AUDIO_SUFFIXES``); or it is a CSV file with the
    columns imitation, sound and category, its paths relative to itself.

    Args:
        root: The folder, or the CSV file.
        on_bad_audio: Whether a file that the CSV names and the disk lacks is an error.

    Raises:
        DatasetError: Stems are ambiguous, an imitation has no sound, a file is gone, or there is
            nothing.
    """
    if root.suffix.lower() == ".csv":
        return _read_csv(root, on_bad_audio)
    sounds = _read_sounds(root / "sounds")
    imitations = list(_read_imitations(root / "imitations", sounds))
    if not imitations:
        raise DatasetError(
            f"{root / 'imitations'} holds no imitation: put audio ({', '.join(AUDIO_SUFFIXES)}) "
            "into a folder named after the file of the sound, such as imitations/dog/1.wav."
        )
    return assemble("folder", root, sounds.values(), imitations, {})


def _audio_files(folder: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Yield each audio file and the names that lead to it from ``folder``; hidden ones aside."""
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        hidden = any(part.startswith(".") for part in parts)
        if not hidden and path.suffix.lower() in AUDIO_SUFFIXES and path.is_file():
            yield path, parts


def _read_sounds(folder: Path) -> dict[str, Sound]:
    """Return the sounds by their stem."""
    same_stem: dict[str, list[Sound]] = defaultdict(list)
    for path, parts in _audio_files(folder):
        if len(parts) > 2:
            raise DatasetError(
                f"{path} lies too deep: sounds lie in sounds/ or in sounds/<category>/. Move it."
            )
        category = parts[0] if len(parts) == 2 else ONE_CATEGORY
        same_stem[path.stem].append(Sound(path.name, path, category, path.stem))
    for stem, sounds in same_stem.items():
        if len(sounds) > 1:
            files = named(str(sound.path.relative_to(folder)) for sound in sounds)
            raise DatasetError(
                f"imitations/{stem} could mean any of {files} in {folder}: "
                "give each sound a name of its own."
            )
    return {stem: sounds[0] for stem, sounds in same_stem.items()}


def _read_imitations(folder: Path, sounds: dict[str, Sound]) -> Iterator[Imitation]:
    strays = set()
    for path, parts in _audio_files(folder):
        if len(parts) != 2 or parts[0] not in sounds:
            strays.add(parts[0])
            continue
        yield Imitation("/".join(parts), path, sounds[parts[0]].id)
    if strays:
        raise DatasetError(
            f"{folder} holds what matches no sound: {named(strays)}. "
            "Imitations lie in imitations/<name of the sound's file without its ending>/."
        )


def _read_csv(table: Path, on_bad_audio: OnBadAudio) -> Corpus:
    sounds: dict[str, Sound] = {}
    imitations: dict[str, Imitation] = {}
    for line, row in read_rows(table, ("imitation", "sound", "category")):
        _check_filled(table, line, row)
        sound = _listed_sound(table, row)
        imitation_id = _spelling(row["imitation"])
        if imitation_id in imitations:
            raise DatasetError(f"{table}, line {line} repeats {imitation_id!r}: keep one row.")
        if sounds.setdefault(sound.id, sound) != sound:
            raise DatasetError(
                f"{table}, line {line} puts {sound.id!r} into {sound.category!r}, an earlier one "
                f"into {sounds[sound.id].category!r}: give it one category."
            )
        imitations[imitation_id] = Imitation(imitation_id, table.parent / imitation_id, sound.id)
    paths = {record.path for records in (sounds, imitations) for record in records.values()}
    gone = {path for path in paths if not path.is_file()}
    return assemble(
        "folder",
        table,
        [sound for sound in sounds.values() if sound.path not in gone],
        [imitation for imitation in imitations.values() if imitation.path not in gone],
        {FILE_GONE: gone_files(gone, table.parent, on_bad_audio)},
    )


def _listed_sound(table: Path, row: dict[str, str]) -> Sound:
    spelling = _spelling(row["sound"])
    return Sound(spelling, table.parent / spelling, row["category"], PurePosixPath(spelling).stem)


def _check_filled(table: Path, line: int, row: dict[str, str]) -> None:
    for column, value in row.items():
        if not value:
            raise DatasetError(f"{table}, line {line}: {column} is empty. Fill it in.")


def _spelling(path: str) -> str:
    """Return one spelling for the several that a path may have, such as ``./a.wav``."""
    return Path(os.path.normpath(path)).as_posix()
