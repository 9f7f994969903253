"""What audio a data set of any layout holds, without decoding it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from vocalsketch.datasets.open import DEMO, layout_of, open_corpus
from vocalsketch.datasets.records import FILE_GONE
from vocalsketch.datasets.urbansound8k import load_urbansound8k
from vocalsketch.datasets.voxforge import LANGUAGES, SpeechClip, load_voxforge, open_clips
from vocalsketch.errors import DatasetError

_DAMAGE = frozenset({FILE_GONE, "file is missing", "zero-byte file", "damaged archive"})


class AudioFile(Protocol):
    """A record of any data set: a sound, an imitation, a clip."""

    @property
    def id(self) -> str:
        """What it is called."""

    @property
    def path(self) -> Path:
        """Where its audio lies."""


@dataclass(frozen=True)
class Inventory:
    """The audio of a data set, grouped.

    Attributes:
        name: The data set's name.
        root: Where it lies.
        grouped_by: What a group is: ``category``, ``language`` or ``class``.
        groups: Group -> kind (``sounds``, ``imitations`` or ``clips``) -> the records.
        left_out: What is lacking or not used, by reason.
        notes: What else is known of the whole.
    """

    name: str
    root: Path
    grouped_by: str
    groups: Mapping[str, Mapping[str, Sequence[AudioFile]]]
    left_out: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...] = ()

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of records that groups hold."""
        return tuple(dict.fromkeys(kind for group in self.groups.values() for kind in group))

    @property
    def damaged(self) -> list[str]:
        """What the data set ought to hold and does not, each with the reason."""
        return [
            f"{name}: {reason}"
            for reason, names in self.left_out.items()
            if reason in _DAMAGE
            for name in names
        ]

    @property
    def files(self) -> list[AudioFile]:
        """All records."""
        groups = self.groups.values()
        return [record for group in groups for records in group.values() for record in records]


def take_inventory(root: str | Path) -> Inventory:
    """List the audio of a corpus, of VoxForge or of UrbanSound8K; absent files are listed too.

    Raises:
        DatasetError: No data set lies there, or nothing of it is left.
    """
    layout = None if str(root) == DEMO else layout_of(Path(root))
    if layout == "voxforge":
        return _of_languages(Path(root))
    if layout == "urbansound8k":
        return _of_classes(Path(root))
    return _of_corpus(root)


def archived(records: Iterable[AudioFile]) -> dict[Path, list[SpeechClip]]:
    """Return those records that lie in archives, by archive."""
    inside: dict[Path, list[SpeechClip]] = {}
    for record in records:
        if isinstance(record, SpeechClip) and record.member is not None:
            inside.setdefault(record.path, []).append(record)
    return inside


def opened(records: Sequence[AudioFile]) -> Iterator[tuple[AudioFile, Path | BinaryIO]]:
    """Yield each record with its audio file: a path, or what an archive holds, opened."""
    packed = archived(records)
    yield from ((record, record.path) for record in records if record.path not in packed)
    for clips in packed.values():
        yield from open_clips(clips)


def _of_corpus(root: str | Path) -> Inventory:
    corpus = open_corpus(root, on_bad_audio="skip")
    category = {sound.id: sound.category for sound in corpus.sounds}
    sounds = _grouped((sound.category, sound) for sound in corpus.sounds)
    imitations = _grouped((category[each.sound_id], each) for each in corpus.imitations)
    groups = {
        name: {"sounds": sounds[name], "imitations": imitations.get(name, [])} for name in sounds
    }
    return Inventory(corpus.name, corpus.root, "category", groups, corpus.missing)


def _of_languages(root: Path) -> Inventory:
    present = [language for language in LANGUAGES if (root / language).is_dir()]
    if not present:
        raise DatasetError(f"{root} has no folder of a language: {', '.join(LANGUAGES)}.")
    speech = load_voxforge(root, present, limit=None)
    by_language = _grouped((clip.language, clip) for clip in speech.clips)
    groups = {name: {"clips": clips} for name, clips in by_language.items()}
    speakers = {
        name: len({c.speaker for c in speech.clips if c.language == name}) for name in groups
    }
    note = ", ".join(f"{name} ({count:,})" for name, count in speakers.items())
    return Inventory(speech.name, root, "language", groups, speech.skipped, (f"speakers: {note}",))


def _of_classes(root: Path) -> Inventory:
    urban = load_urbansound8k(root, "skip")
    by_class = _grouped((clip.class_name, clip) for clip in urban.clips)
    groups = {name: {"clips": clips} for name, clips in by_class.items()}
    folds = Counter(clip.fold for clip in urban.clips)
    note = ", ".join(f"{fold} ({count:,})" for fold, count in sorted(folds.items()))
    return Inventory(urban.name, urban.root, "class", groups, urban.skipped, (f"folds: {note}",))


def _grouped(pairs: Iterable[tuple[str, AudioFile]]) -> dict[str, list[AudioFile]]:
    groups: dict[str, list[AudioFile]] = {}
    for name, record in pairs:
        groups.setdefault(name, []).append(record)
    return groups
