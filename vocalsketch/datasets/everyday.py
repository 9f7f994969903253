"""The everyday originals, which are not distributed with VocalSketch but renamed into it."""

import shutil
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from vocalsketch.datasets.discovery import audio_in
from vocalsketch.datasets.names import composed
from vocalsketch.datasets.records import named
from vocalsketch.datasets.tables import read_rows
from vocalsketch.errors import DatasetError
from vocalsketch.files import written_whole

TRANSLATION = "everyday_filename_translation.csv"


@dataclass(frozen=True)
class Import:
    """What became of each original.

    Attributes:
        copied: The VocalSketch names of those copied now.
        present: The VocalSketch names of those that were there before; they are left as they are.
        not_found: The original names of those that the folder lacks.
    """

    copied: tuple[str, ...]
    present: tuple[str, ...]
    not_found: tuple[str, ...]


def import_everyday(source: Path, root: Path) -> Import:
    """Copy the originals of Marcel's set from ``source`` to VocalSketch's names for them.

    File names are compared without regard to case; folders within ``source`` are looked through.

    Raises:
        DatasetError: The folder or the table is missing, two files fit one name, or none fits any.
        StorageError: A file cannot be written.
    """
    if not source.is_dir():
        raise DatasetError(f"{source} is not a folder: give the one with the everyday originals.")
    translation = {}  # VocalSketch's name of each original
    for line, row in read_rows(root / TRANSLATION, ("marcel_filename", "vocalsketch_filename")):
        new = row["vocalsketch_filename"]
        if Path(new).name != new:
            raise DatasetError(
                f"{root / TRANSLATION}, line {line}: {new!r} is not a plain file name."
            )
        translation[row["marcel_filename"]] = new
    folder = root / "sound_recordings"
    present = {name for name in translation.values() if (folder / name).exists()}
    on_disk = defaultdict(list)
    for path in audio_in(source):
        on_disk[composed(path.name).casefold()].append(path)
    wanted = {old: new for old, new in translation.items() if new not in present}
    keys = {old: composed(old).casefold() for old in wanted}
    found = {old: on_disk[key] for old, key in keys.items() if key in on_disk}
    if wanted and not found:
        raise DatasetError(
            f"{source} holds none of the {len(wanted)} files that {TRANSLATION} names, such as "
            f"{next(iter(wanted))}: give the folder with the everyday originals."
        )
    for old, files in found.items():
        if len(files) > 1:
            raise DatasetError(f"{old} could be any of {named(map(str, files))}: keep one.")
    for old, files in found.items():
        with written_whole(folder / wanted[old]) as temporary:
            shutil.copyfile(files[0], temporary)
    return Import(
        copied=tuple(sorted(wanted[old] for old in found)),
        present=tuple(sorted(present)),
        not_found=tuple(sorted(wanted.keys() - found.keys())),
    )
