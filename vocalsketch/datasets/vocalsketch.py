"""VocalSketch: crowd-sourced vocal imitations of 240 sound recordings in four categories.

Source: zenodo record 13862 (v1.0.4), CC BY 4.0. Mark Cartwright and Bryan Pardo, "VocalSketch:
Vocally Imitating Audio Concepts", CHI 2015, doi:10.1145/2702123.2702387.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from vocalsketch.datasets.records import (
    FILE_GONE,
    NOT_DISTRIBUTED,
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

EVERYDAY = "everyday"
# A file of this name marks a synthesised corpus in the same layout.
DEMO_MARKER = "DEMO"

# The second table's name is misspelt in VocalSketch v1.1.
FIRST_SET = ("vocal_imitations.csv", "vocal_imitations")
SECOND_SET = ("vocal_imitaitons_set2.csv", "vocal_imitations_set2")

_CATEGORY_OF_SUBSET = {"everyday sounds": EVERYDAY}
_TRUTH = {"true": True, "false": False, "": False}


def load_vocalsketch(
    root: Path, *, second_set: bool = False, on_bad_audio: OnBadAudio = "error"
) -> Corpus:
    """Read a tree of VocalSketch v1.0.4 or v1.1.

    The imitations are those made of a sound recording, included, neither draft nor training. They
    are linked to sounds by the recording's file name, since labels recur across categories.
    Everyday recordings that are absent are listed in ``Corpus.missing`` and left out with their
    imitations: VocalSketch does not distribute them.

    Args:
        root: The folder that holds ``vocal_imitations.csv``.
        second_set: Whether to add v1.1's second set. Its ids are damaged: a file name is the key.
        on_bad_audio: Whether any other absent file is an error or is listed as missing too.

    Raises:
        DatasetError: A table is missing or damaged, a file is gone, or nothing is left.
    """
    sounds, not_distributed, gone = _read_sounds(root)
    known = {sound.id for sound in sounds} | not_distributed | {path.name for path in gone}
    imitations: dict[str, Imitation] = {}
    for table, folder in (FIRST_SET, SECOND_SET) if second_set else (FIRST_SET,):
        included = _included_folder(root, folder)
        on_disk = _file_names(included)
        for imitation in _read_imitations(root / table, included, known):
            if imitation.id in imitations:
                raise DatasetError(f"{root / table} repeats {imitation.id!r}: keep one row of it.")
            imitations[imitation.id] = imitation
            if imitation.id not in on_disk:
                gone.append(imitation.path)
    lost = set(gone)
    return assemble(
        "demo" if (root / DEMO_MARKER).is_file() else "vocalsketch",
        root,
        sounds,
        [imitation for imitation in imitations.values() if imitation.path not in lost],
        {NOT_DISTRIBUTED: not_distributed, FILE_GONE: gone_files(gone, root, on_bad_audio)},
    )


def _read_sounds(root: Path) -> tuple[list[Sound], set[str], list[Path]]:
    """Return the sounds on disk, the ids of absent everyday ones, the paths of others absent."""
    folder = root / "sound_recordings"
    on_disk = _file_names(folder)
    table = root / "sound_recordings.csv"
    sounds: dict[str, Sound] = {}
    for _, row in read_rows(table, ("filename", "sound_label", "audio_concept_subset")):
        name, subset = row["filename"], row["audio_concept_subset"].lower()
        if name in sounds:
            raise DatasetError(f"{table} repeats {name!r}: keep one row of it.")
        category = _CATEGORY_OF_SUBSET.get(subset, subset)
        sounds[name] = Sound(name, folder / name, category, row["sound_label"])
    absent = [sound for sound in sounds.values() if sound.id not in on_disk]
    return (
        [sound for sound in sounds.values() if sound.id in on_disk],
        {sound.id for sound in absent if sound.category == EVERYDAY},
        [sound.path for sound in absent if sound.category != EVERYDAY],
    )


def _read_imitations(table: Path, included: Path, known: set[str]) -> Iterator[Imitation]:
    """Yield the imitations of the task: of a recording, included, neither draft nor training."""
    columns = ("filename", "stimulus_type", "included", "draft", "training", "sound_recording")
    unknown = set()
    for line, row in read_rows(table, columns):
        truth = {name: _truth(table, line, row, name) for name in ("included", "draft", "training")}
        if row["stimulus_type"].lower() != "sound recording":
            continue
        if not truth["included"] or truth["draft"] or truth["training"]:
            continue
        if row["sound_recording"] not in known:
            unknown.add(row["sound_recording"])
        yield Imitation(row["filename"], included / row["filename"], row["sound_recording"])
    if unknown:
        raise DatasetError(
            f"{table} names sound recordings that sound_recordings.csv lacks: {named(unknown)}. "
            "Take both tables from one release."
        )


def _truth(table: Path, line: int, row: dict[str, str], column: str) -> bool:
    try:
        return _TRUTH[row[column].lower()]
    except KeyError:
        raise DatasetError(
            f"{table}, line {line}: {column} is {row[column]!r}, neither True nor False. Repair it."
        ) from None


def _included_folder(root: Path, folder: str) -> Path:
    """Return where included imitations lie: older checkouts have ``included_vocal_imitations``."""
    candidates = (root / folder / "included", root / f"included_{folder}")
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    raise DatasetError(
        f"{root} has neither {candidates[0].relative_to(root)} nor {candidates[1].name}: "
        "unpack the imitations beside their table."
    )


def _file_names(folder: Path) -> set[str]:
    """Return the names of the files of a folder, empty where there is none."""
    if not folder.is_dir():
        return set()
    with os.scandir(folder) as entries:
        return {entry.name for entry in entries if entry.is_file()}
