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
    missing: dict[str, tuple[str, ...]] = field(default_factory=dict)


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
    tests: dict[str, bool] = {}  # by speaker, or by clip; a name drawn once keeps its side
    by_speaker = split == "speaker"
    counts: dict[str, Counter[str]] = {language: Counter() for language in corpus.classes}
    for clip in corpus.clips:
        counts[clip.label][clip.group if by_speaker else clip.id] += 1
    # Languages with few speakers have the least choice, so they choose first.
    for language in sorted(counts, key=lambda language: (len(counts[language]), language)):
        clips = counts[language]
        placed = sum(count for name, count in clips.items() if tests.get(name))
        free = [(name, count) for name, count in clips.items() if name not in tests]
        random.Random(f"{seed} {language}").shuffle(free)
        drawn = _closest(free, placed, clips.total(), test_share)
        if drawn is None:
            raise DatasetError(
                f"{language} has {len(clips)} {split}(s) ({named(clips)}), too few to train and "
                "test without one on both sides: use split: clip, add some, or leave the language "
                "out (languages)."
            )
        tests |= {name: name in drawn for name, _ in free}
    return _sides(
        corpus, {each.id for each in corpus.clips if tests[each.group if by_speaker else each.id]}
    )


def _sides(corpus: LabelledCorpus, test: set[str]) -> Sides:
    ids = [clip.id for clip in corpus.clips]
    train = tuple(each for each in ids if each not in test)
    return train, tuple(each for each in ids if each in test)


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

    Missing and zero-byte files are an error, or are left out and listed in ``missing``.

    Raises:
        DatasetError: The table is missing, lacks a column, or has rows that make no sense; files
            are missing or empty; or nothing is left.
    """
    files = Files(root)
    table = files.find(f"metadata/{TABLE}") or files.find(TABLE)
    if table is None:
        raise DatasetError(
            f"{root} does not hold metadata/{TABLE}, nor {TABLE}: give the folder of the data set, "
            "or run: vocalsketch data download urbansound8k"
        )
    folds = "audio/" if files.place("audio").is_dir() else ""
    clips: dict[str, LabelledClip] = {}
    classes: dict[str, int] = {}
    skipped: dict[str, list[str]] = defaultdict(list)
    for line, row in read_rows(table, _COLUMNS):
        name, fold, number, kind = (row[column] for column in _COLUMNS)
        if fold not in map(str, FOLDS) or not number.isdecimal():
            raise DatasetError(
                f"{table}, line {line}: fold is {fold!r} and classID {number!r}, not numbers from "
                "1 to 10 and from 0. Repair it."
            )
        path = files.place(f"{folds}fold{fold}/{name}")
        if path.is_file() and path.stat().st_size:
            clips[name] = LabelledClip(name, path, kind, fold)
            classes[kind] = int(number)
        else:
            reason = "zero-byte file" if path.is_file() else "file is missing"
            skipped[reason].append(f"fold{fold}/{name}")
    gone = sum(map(len, skipped.values()))
    if not clips or (gone and on_bad_audio != "skip"):
        found = "; ".join(f"{reason}: {named(names)}" for reason, names in skipped.items())
        raise DatasetError(
            f"{root} lacks {gone} of the {gone + len(clips)} files that {TABLE} names ({found}). "
            "Restore them, or set on_bad_audio to skip to go on with the rest."
        )
    return LabelledCorpus(
        name_at(root, URBANSOUND8K.name),
        root,
        tuple(sorted(classes, key=classes.__getitem__)),
        tuple(clips[name] for name in sorted(clips)),
        {reason: tuple(names) for reason, names in skipped.items()},
    )


URBANSOUND8K = Layout(
    name="urbansound8k",
    title="UrbanSound8K",
    tree=f"ROOT/metadata/{TABLE} and ROOT/audio/fold1/ to fold10/, or ROOT/{TABLE} and ROOT/fold1/ "
    "to fold10/",
    needs=((f"metadata/{TABLE}", TABLE), ("audio/fold*/", "fold*/")),
)
