"""UrbanSound8K: 8,732 urban sounds in ten classes and ten given folds.

Source: zenodo record 1203745, CC BY-NC 4.0. J. Salamon, C. Jacoby and J. P. Bello, "A Dataset and
Taxonomy for Urban Sound Research", ACM Multimedia 2014, doi:10.1145/2647868.2655045.
"""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from vocalsketch.datasets.layout import DEMO_MARKER, Layout
from vocalsketch.datasets.records import OnBadAudio, named
from vocalsketch.datasets.tables import read_rows
from vocalsketch.errors import ConfigError, DatasetError

NAME = "urbansound8k"
TABLE = "UrbanSound8K.csv"
FOLDS = range(1, 11)
_COLUMNS = ("slice_file_name", "fold", "classID", "class")


@dataclass(frozen=True, slots=True)
class UrbanSoundClip:
    """A slice of a field recording.

    Attributes:
        id: The file name, unique in its corpus.
        path: Where the audio lies.
        fold: 1 to 10, as given; slices of one recording share a fold.
        class_id: The class as a number from 0.
        class_name: The class in words.
    """

    id: str
    path: Path
    fold: int
    class_id: int
    class_name: str


@dataclass(frozen=True)
class UrbanSoundCorpus:
    """Urban sounds in folds.

    Attributes:
        name: ``urbansound8k``, or ``demo`` for a stand-in; printed beside every result.
        root: The folder it was read from.
        clips: The clips, sorted by id.
        skipped: What the table names and the disk lacks, by reason.
    """

    name: str
    root: Path
    clips: tuple[UrbanSoundClip, ...]
    skipped: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes' names in the order of their ids."""
        names = {clip.class_id: clip.class_name for clip in self.clips}
        return tuple(names[class_id] for class_id in sorted(names))


def load_urbansound8k(root: Path, on_bad_audio: OnBadAudio = "error") -> UrbanSoundCorpus:
    """Read the table and find its files. No audio is decoded.

    Missing and zero-byte files are an error, or are left out and listed in ``skipped``.

    Raises:
        ConfigError: ``on_bad_audio`` is neither.
        DatasetError: The table is missing, lacks a column, or has rows that make no sense; files
            are missing or empty; or nothing is left.
    """
    if on_bad_audio not in ("error", "skip"):
        raise ConfigError(f"on_bad_audio is {on_bad_audio!r}: choose error or skip.")
    clips = _read_table(root)
    bad = {clip: reason for clip in clips if (reason := _what_is_wrong(clip.path))}
    skipped = {
        reason: tuple(f"fold{clip.fold}/{clip.id}" for clip in bad if bad[clip] == reason)
        for reason in sorted(set(bad.values()))
    }
    usable = tuple(clip for clip in clips if clip not in bad)
    if bad and (on_bad_audio == "error" or not usable):
        found = "; ".join(f"{reason}: {named(names)}" for reason, names in skipped.items())
        raise DatasetError(
            f"{root} lacks {len(bad)} of the {len(clips)} files that {TABLE} names ({found}). "
            "Restore them, or set on_bad_audio to skip to go on with the rest."
        )
    name = "demo" if (root / DEMO_MARKER).is_file() else NAME
    return UrbanSoundCorpus(name, root, usable, skipped)


def split_fold(corpus: UrbanSoundCorpus, fold: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Divide the clips for one round of ten-fold cross-validation.

    Returns:
        The ids of the nine folds that train and of the one that tests, in the corpus' order.

    Raises:
        ConfigError: ``fold`` is not 1 to 10.
        DatasetError: One of the sides has no clip.
    """
    if fold not in FOLDS:
        raise ConfigError(f"fold is {fold}: UrbanSound8K has folds 1 to 10.")
    train = tuple(clip.id for clip in corpus.clips if clip.fold != fold)
    test = tuple(clip.id for clip in corpus.clips if clip.fold == fold)
    if not train or not test:
        present = ", ".join(map(str, sorted({clip.fold for clip in corpus.clips})))
        raise DatasetError(
            f"Fold {fold} of {corpus.root} leaves {len(train)} clips to train and {len(test)} to "
            f"test: folds with clips are {present}. Choose another fold or restore the files."
        )
    return train, test


def _read_table(root: Path) -> tuple[UrbanSoundClip, ...]:
    table = root / "metadata" / TABLE
    table = table if table.is_file() else root / TABLE
    if not table.is_file():
        raise DatasetError(
            f"{root} does not hold metadata/{TABLE}, nor {TABLE}: give the folder of the data set, "
            "or run: vocalsketch data download urbansound8k"
        )
    folds = root / "audio" if (root / "audio").is_dir() else root
    clips = [_clip(folds, row, f"{table}, line {line}") for line, row in read_rows(table, _COLUMNS)]
    if not clips:
        raise DatasetError(f"{table} has no rows: restore it from {LAYOUT.source}")
    twice = [name for name, count in Counter(clip.id for clip in clips).items() if count > 1]
    if twice:
        raise DatasetError(f"{table} repeats {named(twice)}: keep one row of each.")
    classes = {(clip.class_id, clip.class_name) for clip in clips}
    if len({class_id for class_id, _ in classes}) < len(classes):
        pairs = ", ".join(f"{class_id} {class_name}" for class_id, class_name in sorted(classes))
        raise DatasetError(f"{table} gives one classID two names ({pairs}): restore it.")
    return tuple(sorted(clips, key=lambda clip: clip.id))


def _clip(folds: Path, row: dict[str, str], where: str) -> UrbanSoundClip:
    name, fold, class_id, class_name = (row[column] for column in _COLUMNS)
    if not name or Path(name).name != name:
        raise DatasetError(f"{where}: slice_file_name is {name!r}, not a file's name. Repair it.")
    if not (fold.isdecimal() and int(fold) in FOLDS):
        raise DatasetError(f"{where}: fold is {fold!r}, not a number from 1 to 10. Repair it.")
    if not class_id.isdecimal():
        raise DatasetError(f"{where}: classID is {class_id!r}, not a number from 0. Repair it.")
    path = folds / f"fold{int(fold)}" / name
    return UrbanSoundClip(name, path, int(fold), int(class_id), class_name)


def _what_is_wrong(path: Path) -> str | None:
    if not path.is_file():
        return "file is missing"
    return None if path.stat().st_size else "zero-byte file"


LAYOUT = Layout(
    name=NAME,
    title="UrbanSound8K",
    source="https://zenodo.org/records/1203745",
    tree=f"ROOT/metadata/{TABLE} and ROOT/audio/fold1/ to fold10/, or ROOT/{TABLE} and ROOT/fold1/ "
    "to fold10/",
    needs=((f"metadata/{TABLE}", TABLE), ("audio/fold*/", "fold*/")),
)
