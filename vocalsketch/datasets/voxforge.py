"""VoxForge: read speech in several languages, GPL-3.0-or-later, http://www.voxforge.org.

The layout is ``<root>/<language>/<speaker>-<YYYYMMDD>-<xxx>`` (a folder, or a ``.tgz`` that is
unpacked when it is first read), or the same below the folders that the repository and its mirrors
have. Each submission holds ``wav/`` or ``flac/``, and texts in ``etc/`` that are not needed here.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, zip_longest
from pathlib import Path, PurePath
from typing import TypeVar

from vocalsketch.datasets.archive import unpacked_once
from vocalsketch.datasets.discovery import list_audio
from vocalsketch.datasets.labelled import LabelledClip, LabelledCorpus
from vocalsketch.datasets.records import Layout, name_at
from vocalsketch.errors import ConfigError, DatasetError, refuse_below

SOURCE = "http://www.repository.voxforge1.org/downloads/"
LANGUAGES = ("nl", "en", "fr", "de", "it", "ru", "es")  # paper, section V-A
CLIPS_PER_LANGUAGE = 8000  # paper, section V-A
ARCHIVE_SUFFIX = ".tgz"
# What the repository calls a language's folder, and where its submissions lie within
FOLDERS = {"en": "SpeechCorpus", "nl": "Dutch", "ru": "Russian"}
MIRRORED = "Trunk/Audio/Main/16kHz_16bit"
_AUDIO_FOLDERS = ("wav", "flac")
_ANONYMOUS = ("anonym", "anonim", "anoniem")  # 'anonymous' in the seven languages begins so
_T = TypeVar("_T")


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
    named = [root / language, root / FOLDERS.get(language, language)]
    for folder in (*(name / MIRRORED for name in named), *named):
        if folder.is_dir():
            return folder
    return root / language


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
