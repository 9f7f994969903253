"""VoxForge: read speech in several languages, in archives or extracted.

The layout is ``<root>/<language>/<speaker>-<YYYYMMDD>-<xxx>`` (a folder, a ``.tgz``, or both),
each submission with ``wav/`` or ``flac/`` and texts in ``etc/`` that are not needed here.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from pathlib import Path, PurePosixPath
from typing import BinaryIO, TypeVar

from vocalsketch.datasets.archive import read_members
from vocalsketch.datasets.archive_index import audio_listings
from vocalsketch.datasets.vocalsketch import DEMO_MARKER
from vocalsketch.errors import ConfigError, DatasetError

NAME = "voxforge"
SOURCE = "http://www.repository.voxforge1.org/downloads/"
LICENSE = "GPL-3.0-or-later"
CITATION = "VoxForge, free speech corpus and acoustic model repository, http://www.voxforge.org"

LANGUAGES = ("nl", "en", "fr", "de", "it", "ru", "es")  # paper, section V-A
CLIPS_PER_LANGUAGE = 8000  # paper, section V-A
SUFFIXES = (".wav", ".flac")
ARCHIVE_SUFFIX = ".tgz"
_AUDIO_FOLDERS = ("wav", "flac")
_ANONYMOUS = ("anonym", "anonim", "anoniem")  # 'anonymous' in the seven languages begins so
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class SpeechClip:
    """A recorded sentence.

    Attributes:
        id: ``<language>/<submission>/<file name>``, the same for an archive and its extraction.
        path: The audio file, or the ``.tgz`` that holds it.
        member: The name inside the archive; None where ``path`` is the audio file.
        language: The language's folder, such as ``nl``.
        speaker: Whose voice it is; see `speaker_of`.
    """

    id: str
    path: Path
    member: str | None
    language: str
    speaker: str


@dataclass(frozen=True)
class SpeechCorpus:
    """Clips in several languages.

    Attributes:
        name: ``voxforge``, or ``demo`` for a stand-in; printed beside every result.
        root: The folder it was read from.
        languages: The languages, in the order of their class indices.
        clips: The clips, sorted by id.
        skipped: What was found and not used, by reason: each a name below ``root``.
    """

    name: str
    root: Path
    languages: tuple[str, ...]
    clips: tuple[SpeechClip, ...]
    skipped: dict[str, tuple[str, ...]] = field(default_factory=dict)


def load_voxforge(
    root: Path,
    languages: Sequence[str] = LANGUAGES,
    limit: int | None = CLIPS_PER_LANGUAGE,
    *,
    seed: int = 0,
) -> SpeechCorpus:
    """Find the clips of some languages.

    No audio is decoded. Archives are listed, not unpacked; the listing is remembered in the
    cache folder. Of a submission that is both extracted and archived the folder counts.

    Args:
        root: The folder that holds one folder per language.
        languages: Names of those folders; their order gives the class indices.
        limit: The most clips per language; None takes all. The choice goes round the speakers,
            one clip each, so that it covers as many people as possible.
        seed: Seeds that choice. A language's choice does not depend on the other languages.

    Raises:
        ConfigError: ``languages`` is empty or names one twice, or ``limit`` is below 1.
        DatasetError: The root or a language's folder is missing, or holds no usable clip.
    """
    if not languages or len(set(languages)) < len(languages):
        raise ConfigError(f"languages is {list(languages)}: name at least one, and each once.")
    if limit is not None and limit < 1:
        raise ConfigError(f"limit is {limit} clips per language: give 1 or more, or none for all.")
    skipped: dict[str, list[str]] = defaultdict(list)
    clips: list[SpeechClip] = []
    empty = []
    for language in languages:
        usable = _language_clips(root / language, skipped)
        chosen = _spread(usable, limit, random.Random(f"{seed} {language}"))
        chosen_ids = {clip.id for clip in chosen}
        skipped[f"over the limit of {limit} clips per language"] += [
            clip.id for clip in usable if clip.id not in chosen_ids
        ]
        clips += chosen
        if not usable:
            empty.append(language)
    listed = {reason: tuple(names) for reason, names in skipped.items() if names}
    if empty:
        raise _nothing_usable(root, empty, listed)
    ordered = tuple(sorted(clips, key=lambda clip: clip.id))
    name = "demo" if (root / DEMO_MARKER).is_file() else NAME
    return SpeechCorpus(name, root, tuple(languages), ordered, listed)


def speaker_of(submission: str) -> str:
    """Return the speaker's name: what stands before the first ``-`` of a submission's name.

    'anonymous' is no person: very many people sent in under that name. As one speaker they would
    all have to stand on the same side of a split and upset its shares, so each anonymous
    submission counts as a speaker of its own. That one person sent in two anonymous submissions,
    which a split may then part, cannot be known.
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


def read_member(clip: SpeechClip) -> bytes:
    """Return the bytes of a clip's audio file. For many clips `open_clips` is far faster."""
    if clip.member is None:
        return clip.path.read_bytes()
    _, content = next(open_clips([clip]))
    return content.read()


def open_clips(clips: Iterable[SpeechClip]) -> Iterator[tuple[SpeechClip, BinaryIO]]:
    """Yield each clip with its opened, seekable audio file; each archive is read once.

    The order is by file or archive, in the order of first appearance. A file is closed when the
    next clip is asked for.

    Raises:
        DatasetError: An archive is damaged or no longer holds a clip.
    """
    by_path: dict[Path, list[SpeechClip]] = defaultdict(list)
    for clip in clips:
        by_path[clip.path].append(clip)
    for path, inside in by_path.items():
        wanted = {clip.member: clip for clip in inside if clip.member is not None}
        if not wanted:
            with path.open("rb") as file:
                yield inside[0], file
            continue
        for member, content in read_members(path, frozenset(wanted)):
            if member in wanted:  # an archive may hold a name twice
                yield wanted.pop(member), content
        for clip in wanted.values():
            raise DatasetError(f"{path} no longer holds {clip.member}: download it again.")


def _language_clips(folder: Path, skipped: dict[str, list[str]]) -> list[SpeechClip]:
    """Find every usable clip of a language, noting what is passed over."""
    folders: dict[str, Path] = {}
    archives: dict[str, Path] = {}
    for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
        if entry.is_dir():
            folders[entry.name] = entry
        elif entry.suffix.lower() == ARCHIVE_SUFFIX:
            archives[entry.stem] = entry
        else:
            skipped["neither a folder nor a .tgz"].append(f"{folder.name}/{entry.name}")
    clips: list[SpeechClip] = []
    for submission, path in folders.items():
        found = _usable(path, _files(path), skipped, in_archive=False)
        clips += found
        if found and submission in archives:
            archive = archives.pop(submission)
            skipped["archive of an extracted submission"].append(f"{folder.name}/{archive.name}")
    for path, listing in audio_listings(folder, archives.values(), SUFFIXES).items():
        if isinstance(listing, DatasetError):
            skipped["damaged archive"].append(f"{folder.name}/{path.name}")
        else:
            clips += _usable(path, listing, skipped, in_archive=True)
    return clips


def _files(folder: Path) -> list[tuple[str, int]]:
    return [
        (path.relative_to(folder).as_posix(), path.stat().st_size)
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and path.is_file()
    ]


def _usable(
    path: Path,
    listing: Iterable[tuple[str, int]],
    skipped: dict[str, list[str]],
    *,
    in_archive: bool,
) -> list[SpeechClip]:
    """Make clips of a submission's audio files, each sentence once, wav before flac."""
    language, submission = path.parent.name, path.stem if in_archive else path.name
    clips: dict[str, SpeechClip] = {}
    found = 0
    for name, size in sorted(listing, reverse=True):
        inside = PurePosixPath(name)
        if inside.parent.name.lower() not in _AUDIO_FOLDERS or inside.name.startswith("."):
            continue
        found += 1
        clip_id = f"{language}/{submission}/{inside.name}"
        if size == 0:
            skipped["zero-byte file"].append(clip_id)
        elif inside.stem in clips:
            skipped["the same sentence as wav and flac"].append(clip_id)
        else:
            where, member = (path, name) if in_archive else (path / name, None)
            speaker = speaker_of(submission)
            clips[inside.stem] = SpeechClip(clip_id, where, member, language, speaker)
    if not found:
        skipped["no audio folder, or nothing in it"].append(f"{language}/{path.name}")
    return list(clips.values())


def _spread(clips: list[SpeechClip], limit: int | None, rng: random.Random) -> list[SpeechClip]:
    if limit is None or len(clips) <= limit:
        return clips
    ordered = sorted(clips, key=lambda clip: clip.id)
    return round_speakers(ordered, lambda clip: clip.speaker, rng)[:limit]


def _nothing_usable(
    root: Path, empty: list[str], skipped: dict[str, tuple[str, ...]]
) -> DatasetError:
    present = sorted(path.name for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    passed = "; ".join(f"{len(names)} x {reason}" for reason, names in skipped.items())
    return DatasetError(
        f"No usable clip of {', '.join(empty)} in {root} (folders found: "
        f"{', '.join(present) or 'none'}; passed over: {passed or 'nothing'}). "
        "Give the folder that holds one folder per language, name only languages that it has, "
        "or run: vocalsketch data download voxforge"
    )
