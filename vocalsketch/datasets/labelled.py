"""Clips of known classes, which pre-train a tower, and how they are divided; UrbanSound8K.

UrbanSound8K is 8,732 urban sounds in ten classes and ten given folds: zenodo record 1203745,
CC BY-NC 4.0. J. Salamon, C. Jacoby and J. P. Bello, "A Dataset and Taxonomy for Urban Sound
Research", ACM Multimedia 2014, doi:10.1145/2647868.2655045.
"""

import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from vocalsketch.datasets.discovery import Files
from vocalsketch.datasets.records import Layout, OnBadAudio, name_at, named
from vocalsketch.datasets.tables import read_rows
from vocalsketch.errors import ConfigError, DatasetError

TEST_SHARE = 0.3  # paper, section V-A: 70 % train, 30 % test
FOLDS = range(1, 11)  # of UrbanSound8K
TABLE = "UrbanSound8K.csv"
_COLUMNS = ("slice_file_name", "fold", "classID", "class")

Sides = tuple[tuple[str, ...], tuple[str, ...]]  # ids that train, ids that test


@dataclass(frozen=True, slots=True)
class LabelledClip:
    """A clip of a known class."""

    id: str  # unique in its corpus
    path: Path
    label: str  # its class: a language, or a kind of sound
    group: str  # whose clips stand on one side of a split: a speaker, or a fold


@dataclass(frozen=True)
class LabelledCorpus:
    """Clips of known classes."""

    name: str  # the layout's, such as ``voxforge``, or ``demo``; printed beside every result
    root: Path  # the folder it was read from
    classes: tuple[str, ...]  # in the order of their indices
    clips: tuple[LabelledClip, ...]  # sorted by id
    # what was found, or ought to be there, and is not used, by reason
    skipped: dict[str, tuple[str, ...]] = field(default_factory=dict)


def split_fold(corpus: LabelledCorpus, fold: int) -> Sides:
    """Divide UrbanSound8K's clips: nine folds train and one tests, in the corpus' order.

    Raises:
        ConfigError: ``fold`` is not 1 to 10.
        DatasetError: One of the sides has no clip.
    """
    if fold not in FOLDS:
        raise ConfigError(f"fold is {fold}: UrbanSound8K has folds 1 to 10.")
    train, test = _sides(corpus, {clip.id for clip in corpus.clips if clip.group == str(fold)})
    if not train or not test:
        present = ", ".join(sorted({clip.group for clip in corpus.clips}, key=int))
        raise DatasetError(
            f"Fold {fold} of {corpus.root} leaves {len(train)} clips to train and {len(test)} to "
            f"test: folds with clips are {present}. Choose another fold or restore the files."
        )
    return train, test


def split_languages(
    corpus: LabelledCorpus,
    split: Literal["speaker", "clip"] = "speaker",
    seed: int = 0,
    test_share: float = TEST_SHARE,
) -> Sides:
    """Divide each language's clips into training and test clips.

    ``speaker`` keeps each speaker's clips on one side, also those of a name that occurs in several
    languages, and comes as close to ``test_share`` as speakers allow; ``clip`` draws clips at
    random, so that a voice stands on both sides. Every language has clips on both sides, in the
    corpus' order.

    Raises:
        ConfigError: ``split`` is neither, or ``test_share`` is not between 0 and 1.
        DatasetError: A language has too few speakers, or clips, to stand on both sides.
    """
    if split not in ("speaker", "clip"):
        raise ConfigError(f"split is {split!r}: choose speaker or clip.")
    if not 0 < test_share < 1:
        raise ConfigError(f"test_share is {test_share}: give a share between 0 and 1.")
    by_language: dict[str, list[LabelledClip]] = {language: [] for language in corpus.classes}
    for clip in corpus.clips:
        by_language[clip.label].append(clip)
    draw = _by_speaker if split == "speaker" else _by_clip
    return _sides(corpus, draw(by_language, seed, test_share))


def _sides(corpus: LabelledCorpus, test: set[str]) -> Sides:
    ids = [clip.id for clip in corpus.clips]
    return tuple(each for each in ids if each not in test), tuple(
        each for each in ids if each in test
    )


def _by_clip(by_language: dict[str, list[LabelledClip]], seed: int, share: float) -> set[str]:
    test: set[str] = set()
    for language, clips in by_language.items():
        if len(clips) < 2:
            raise DatasetError(
                f"{language} has {len(clips)} clip: both sides need one. Add clips, or leave the "
                "language out (languages)."
            )
        size = min(max(round(share * len(clips)), 1), len(clips) - 1)
        drawn = random.Random(f"{seed} {language}").sample([clip.id for clip in clips], size)
        test.update(drawn)
    return test


def _by_speaker(by_language: dict[str, list[LabelledClip]], seed: int, share: float) -> set[str]:
    """Draw test speakers language by language; a name drawn once keeps its side."""
    tests: dict[str, bool] = {}
    counts = {
        language: Counter(clip.group for clip in clips) for language, clips in by_language.items()
    }
    # Languages with few speakers have the least choice, so they choose first.
    for language in sorted(counts, key=lambda language: (len(counts[language]), language)):
        speakers = counts[language]
        placed = sum(clips for speaker, clips in speakers.items() if tests.get(speaker))
        free = [(name, clips) for name, clips in speakers.items() if name not in tests]
        random.Random(f"{seed} {language}").shuffle(free)
        drawn = _closest(free, placed, speakers.total(), share)
        if drawn is None:
            raise DatasetError(
                f"{language} has {len(speakers)} speaker(s) ({named(speakers)}), too few to train "
                "and test without one on both sides: use split: clip, or add speakers."
            )
        tests |= {name: name in drawn for name, _ in free}
    return {clip.id for clips in by_language.values() for clip in clips if tests[clip.group]}


def _closest(free: list[tuple[str, int]], placed: int, total: int, share: float) -> set[str] | None:
    """Choose speakers whose clips, with those placed, come closest to the share of the total.

    A subset sum: bit n of ``reachable[i]`` says that some of the first i speakers have n clips.
    None where one side would stay empty.
    """
    reachable = [1]
    for _, clips in free:
        reachable.append(reachable[-1] | reachable[-1] << clips)
    sums = [n for n in range(total + 1) if reachable[-1] >> n & 1 and 0 < placed + n < total]
    if not sums:
        return None
    left = min(sums, key=lambda n: (abs(placed + n - share * total), n))
    drawn = set()
    for (name, clips), without in zip(reversed(free), reversed(reachable[:-1]), strict=True):
        if not without >> left & 1:
            drawn.add(name)
            left -= clips
    return drawn


def load_urbansound8k(root: Path, on_bad_audio: OnBadAudio = "error") -> LabelledCorpus:
    """Read UrbanSound8K's table and find its files. No audio is decoded.

    Missing and zero-byte files are an error, or are left out and listed in ``skipped``.

    Raises:
        DatasetError: The table is missing, lacks a column, or has rows that make no sense; files
            are missing or empty; or nothing is left.
    """
    clips, classes = _read_table(root)
    skipped: dict[str, list[str]] = defaultdict(list)
    usable = []
    for clip in clips:
        if not clip.path.is_file():
            skipped["file is missing"].append(f"fold{clip.group}/{clip.id}")
        elif not clip.path.stat().st_size:
            skipped["zero-byte file"].append(f"fold{clip.group}/{clip.id}")
        else:
            usable.append(clip)
    if skipped and (on_bad_audio != "skip" or not usable):
        found = "; ".join(f"{reason}: {named(names)}" for reason, names in skipped.items())
        raise DatasetError(
            f"{root} lacks {len(clips) - len(usable)} of the {len(clips)} files that {TABLE} names "
            f"({found}). Restore them, or set on_bad_audio to skip to go on with the rest."
        )
    kept = {clip.label for clip in usable}
    return LabelledCorpus(
        name_at(root, URBANSOUND8K.name),
        root,
        tuple(each for each in classes if each in kept),
        tuple(usable),
        {reason: tuple(names) for reason, names in skipped.items()},
    )


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
        raise DatasetError(f"{table} has no rows: restore it from {URBANSOUND8K.source}")
    return [clips[name] for name in sorted(clips)], [classes[each] for each in sorted(classes)]


URBANSOUND8K = Layout(
    name="urbansound8k",
    title="UrbanSound8K",
    source="https://zenodo.org/records/1203745",
    tree=f"ROOT/metadata/{TABLE} and ROOT/audio/fold1/ to fold10/, or ROOT/{TABLE} and ROOT/fold1/ "
    "to fold10/",
    needs=((f"metadata/{TABLE}", TABLE), ("audio/fold*/", "fold*/")),
)
