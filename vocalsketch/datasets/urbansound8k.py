"""UrbanSound8K: 8,732 urban sounds in ten classes and ten given folds.

Source: zenodo record 1203745, CC BY-NC 4.0. J. Salamon, C. Jacoby and J. P. Bello, "A Dataset and
Taxonomy for Urban Sound Research", ACM Multimedia 2014, doi:10.1145/2647868.2655045.
"""

from collections import defaultdict
from pathlib import Path
from typing import get_args

from vocalsketch.datasets.labelled import LabelledClip, LabelledCorpus
from vocalsketch.datasets.layout import DEMO_MARKER, Layout
from vocalsketch.datasets.names import Files
from vocalsketch.datasets.records import OnBadAudio, named
from vocalsketch.datasets.tables import read_rows
from vocalsketch.errors import ConfigError, DatasetError

NAME = "urbansound8k"
TABLE = "UrbanSound8K.csv"
FOLDS = range(1, 11)
_COLUMNS = ("slice_file_name", "fold", "classID", "class")


def load_urbansound8k(root: Path, on_bad_audio: OnBadAudio = "error") -> LabelledCorpus:
    """Read the table and find its files. No audio is decoded.

    Missing and zero-byte files are an error, or are left out and listed in ``skipped``.

    Raises:
        ConfigError: ``on_bad_audio`` is neither.
        DatasetError: The table is missing, lacks a column, or has rows that make no sense; files
            are missing or empty; or nothing is left.
    """
    if on_bad_audio not in get_args(OnBadAudio):
        raise ConfigError(f"on_bad_audio is {on_bad_audio!r}: choose error, skip or use.")
    clips, classes = _read_table(root)
    skipped: dict[str, list[str]] = defaultdict(list)
    for clip in clips:
        if not clip.path.is_file():
            skipped["file is missing"].append(f"fold{clip.group}/{clip.id}")
        elif not clip.path.stat().st_size:
            skipped["zero-byte file"].append(f"fold{clip.group}/{clip.id}")
    bad = {name for names in skipped.values() for name in names}
    usable = tuple(clip for clip in clips if f"fold{clip.group}/{clip.id}" not in bad)
    if bad and (on_bad_audio != "skip" or not usable):
        found = "; ".join(f"{reason}: {named(names)}" for reason, names in skipped.items())
        raise DatasetError(
            f"{root} lacks {len(bad)} of the {len(clips)} files that {TABLE} names ({found}). "
            "Restore them, or set on_bad_audio to skip to go on with the rest."
        )
    name = "demo" if (root / DEMO_MARKER).is_file() else NAME
    listed = {reason: tuple(names) for reason, names in skipped.items()}
    kept = {clip.label for clip in usable}
    present = tuple(each for each in classes if each in kept)
    return LabelledCorpus(name, root, present, usable, listed)


def _read_table(root: Path) -> tuple[list[LabelledClip], list[str]]:
    """Return the clips of the table and the classes in the order of their ids."""
    files = Files(root)
    table = files.find(f"metadata/{TABLE}") or files.find(TABLE)
    if table is None:
        raise DatasetError(
            f"{root} does not hold metadata/{TABLE}, nor {TABLE}: give the folder of the data set, "
            "or run: vocalsketch data download urbansound8k"
        )
    folds = "audio/" if files.place("audio").is_dir() else ""
    clips: dict[str, LabelledClip] = {}
    classes: dict[int, str] = {}
    for line, row in read_rows(table, _COLUMNS):
        name, fold, class_id, kind = (row[column] for column in _COLUMNS)
        wrong = {
            f"slice_file_name is {name!r}, not a file's name": not name or Path(name).name != name,
            f"it repeats {name}": name in clips,
            f"fold is {fold!r}, not a number from 1 to 10": fold not in map(str, FOLDS),
            f"classID is {class_id!r}, not a number from 0": not class_id.isdecimal(),
        }
        complaint = next((text for text, is_wrong in wrong.items() if is_wrong), None)
        if complaint:
            raise DatasetError(f"{table}, line {line}: {complaint}. Repair it.")
        if classes.setdefault(int(class_id), kind) != kind:
            pair = f"{classes[int(class_id)]}, {kind}"
            raise DatasetError(f"{table} gives one classID two names ({pair}): restore it.")
        clips[name] = LabelledClip(name, files.place(f"{folds}fold{fold}/{name}"), kind, fold)
    if not clips:
        raise DatasetError(f"{table} has no rows: restore it from {LAYOUT.source}")
    return [clips[name] for name in sorted(clips)], [classes[each] for each in sorted(classes)]


LAYOUT = Layout(
    name=NAME,
    title="UrbanSound8K",
    source="https://zenodo.org/records/1203745",
    tree=f"ROOT/metadata/{TABLE} and ROOT/audio/fold1/ to fold10/, or ROOT/{TABLE} and ROOT/fold1/ "
    "to fold10/",
    needs=((f"metadata/{TABLE}", TABLE), ("audio/fold*/", "fold*/")),
)
