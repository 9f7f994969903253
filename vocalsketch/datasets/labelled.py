"""Clips of known classes, which pre-train a tower, and how they are divided.

- VoxForge: read speech in several languages, GPL-3.0-or-later, http://www.voxforge.org. Each
  submission, a folder or a ``.tgz``, holds ``wav/`` or ``flac/``, and texts that are not needed.
- UrbanSound8K: 8,732 urban sounds in ten classes and ten given folds. Zenodo record 1203745,
  CC BY-NC 4.0. J. Salamon, C. Jacoby and J. P. Bello, "A Dataset and Taxonomy for Urban Sound
  Research", ACM Multimedia 2014, doi:10.1145/2647868.2655045.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from pathlib import Path, PurePath
from typing import Literal, TypeVar

from vocalsketch.datasets.archive import unpacked_once
from vocalsketch.datasets.discovery import Files, list_audio
from vocalsketch.datasets.records import Layout, OnBadAudio, name_at, named
from vocalsketch.datasets.tables import read_rows
from vocalsketch.errors import ConfigError, DatasetError, refuse_below

TEST_SHARE = 0.3  # paper, section V-A: 70 % train, 30 % test
FOLDS = range(1, 11)  # of UrbanSound8K
TABLE = "UrbanSound8K.csv"
_COLUMNS = ("slice_file_name", "fold", "classID", "class")
LANGUAGES = ("nl", "en", "fr", "de", "it", "ru", "es")  # paper, section V-A
CLIPS_PER_LANGUAGE = 8000  # paper, section V-A
ARCHIVE_SUFFIX = ".tgz"
# What the repository calls a language's folder, and where its submissions lie within
LANGUAGE_FOLDERS = {"en": "SpeechCorpus", "nl": "Dutch", "ru": "Russian"}
MIRRORED = "Trunk/Audio/Main/16kHz_16bit"
_AUDIO_FOLDERS = ("wav", "flac")
_ANONYMOUS = ("anonym", "anonim", "anoniem")  # 'anonymous' in the seven languages begins so
_T = TypeVar("_T")

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
    drawn_by = {each.id: each.group if split == "speaker" else each.id for each in corpus.clips}
    counts: dict[str, Counter[str]] = {language: Counter() for language in corpus.classes}
    for clip in corpus.clips:
        counts[clip.label][drawn_by[clip.id]] += 1
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
    return _sides(corpus, {each for each, name in drawn_by.items() if tests[name]})


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


def load_voxforge(
    root: Path,
    languages: Sequence[str] = LANGUAGES,
    limit: int | None = CLIPS_PER_LANGUAGE,
    *,
    seed: int = 0,
) -> LabelledCorpus:
    """Find the clips of some languages.

    No audio is decoded. Archives that are not unpacked yet are unpacked beside themselves, or in
    the cache folder where nothing can be written there. The order of languages gives the class
    indices. Of more than ``limit`` clips of a language (None: no limit) the seed chooses, round the
    speakers, one clip each, so that as many people as possible are heard.

    Raises:
        ConfigError: ``languages`` is empty or names one twice, or ``limit`` is below 1.
        DatasetError: The root or a language's folder is missing, or holds no usable clip.
        StorageError: Archives have to be unpacked, and the disk is full.
    """
    if not languages or len(set(languages)) < len(languages):
        raise ConfigError(f"languages is {list(languages)}: name at least one, and each once.")
    refuse_below(1, limit=1 if limit is None else limit)
    skipped: dict[str, list[str]] = defaultdict(list)
    clips: list[LabelledClip] = []
    empty = []
    for language in languages:
        found = submissions(language_folder(root, language), skipped, language)
        usable = [clip for path in found.values() for clip in clips_of(path, language, skipped)]
        if not usable:
            empty.append(language)
        if limit is not None and len(usable) > limit:
            ordered = sorted(usable, key=lambda clip: clip.id)
            rng = random.Random(f"{seed} {language}")
            usable = round_speakers(ordered, lambda clip: clip.group, rng)
            over = [clip.id for clip in usable[limit:]]
            skipped[f"over the limit of {limit} clips per language"] += sorted(over)
        clips += usable[:limit]
    listed = {reason: tuple(names) for reason, names in skipped.items() if names}
    if empty:
        passed = "; ".join(f"{len(names)} x {reason}" for reason, names in listed.items())
        raise DatasetError(
            f"No usable clip of {', '.join(empty)} in {root} (passed over: {passed or 'nothing'}). "
            "Give the folder that holds one folder per language, name only languages that it has, "
            "or run: vocalsketch data download voxforge"
        )
    clips.sort(key=lambda clip: clip.id)
    name = name_at(root, VOXFORGE.name)
    return LabelledCorpus(name, root, tuple(languages), tuple(clips), listed)


def speaker_of(submission: str) -> str:
    """Return the speaker's name: what stands before the first ``-`` of a submission's name.

    'anonymous' is no person: very many people sent in under that name, and would all have to stand
    on the same side of a split. So each anonymous submission counts as a speaker of its own.
    """
    speaker = submission.partition("-")[0]
    anonymous = speaker.casefold().startswith(_ANONYMOUS)
    return submission if anonymous or not speaker else speaker


def round_speakers(
    items: Iterable[_T], speaker: Callable[[_T], str], rng: random.Random
) -> list[_T]:
    """Put items in an order that goes round the speakers, shuffled, taking one of each in turn."""
    by_speaker: dict[str, list[_T]] = defaultdict(list)
    for item in items:
        by_speaker[speaker(item)].append(item)
    turns = list(by_speaker.values())
    rng.shuffle(turns)
    for turn in turns:
        rng.shuffle(turn)
    return [item for item in chain.from_iterable(zip_longest(*turns)) if item is not None]


def language_folder(root: Path, language: str) -> Path:
    """Return where a language's submissions lie: at the top, or as mirrors have them."""
    own = [root / language, root / LANGUAGE_FOLDERS.get(language, language)]
    places = [*(folder / MIRRORED for folder in own), *own]
    return next((folder for folder in places if folder.is_dir()), root / language)


def submissions(folder: Path, skipped: dict[str, list[str]], language: str) -> dict[str, Path]:
    """Return a language's submissions by name; those in archives are unpacked first."""
    if not folder.is_dir():
        return {}
    entries = [path for path in sorted(folder.iterdir()) if path.name[0] != "."]
    folders = {path.name: path for path in entries if path.is_dir()}
    packed = [path for path in entries if path.suffix.lower() == ARCHIVE_SUFFIX]
    others = [path.name for path in entries if not path.is_dir() and path not in packed]
    skipped["neither a folder nor a .tgz"] += [f"{language}/{name}" for name in others]
    wanted = [path for path in packed if path.stem not in folders]
    unpacked, damaged = unpacked_once(wanted, folder)
    skipped["damaged archive"] += [f"{language}/{path.name}" for path in damaged]
    return folders | {path.name: path for path in unpacked}


def clips_of(submission: Path, language: str, skipped: dict[str, list[str]]) -> list[LabelledClip]:
    """Make clips of a submission's audio files, each sentence once, wav before flac."""
    clips: dict[str, LabelledClip] = {}
    found = [
        sound
        for sound in reversed(list_audio(submission).files)
        if PurePath(sound.path).parent.name.lower() in _AUDIO_FOLDERS
    ]
    for sound in found:
        path = submission / sound.path
        clip_id = f"{language}/{submission.name}/{path.name}"
        if sound.size == 0:
            skipped["zero-byte file"].append(clip_id)
        elif path.stem in clips:
            skipped["the same sentence as wav and flac"].append(clip_id)
        else:
            clips[path.stem] = LabelledClip(clip_id, path, language, speaker_of(submission.name))
    if not found:
        skipped["no audio folder, or nothing in it"].append(f"{language}/{submission.name}")
    return list(clips.values())


VOXFORGE = Layout(
    name="voxforge",
    title="VoxForge",
    tree="ROOT/<language>/<speaker>-<date>-<code>/wav/<clip>.wav (or flac/, or the submission as "
    f".tgz), or the submissions in ROOT/<language>/{MIRRORED}/",
    needs=(("*/*-*-*/wav/", "*/*-*-*/flac/", "*/*-*-*/etc/", "*/*-*-*.tgz", f"*/{MIRRORED}/"),),
)


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
