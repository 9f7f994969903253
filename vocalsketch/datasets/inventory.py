"""What audio a data set of any layout holds, without decoding it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from vocalsketch.datasets.discovery import list_audio
from vocalsketch.datasets.open import DEMO, describe, layout_of, open_corpus
from vocalsketch.datasets.records import FILE_GONE
from vocalsketch.datasets.urbansound8k import load_urbansound8k
from vocalsketch.datasets.voxforge import LANGUAGES, language_folder, load_voxforge
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
        title: What people call its layout.
        root: Where it lies.
        grouped_by: What a group is: ``category``, ``language`` or ``class``.
        groups: Group -> kind (``sounds``, ``imitations`` or ``clips``) -> the records.
        left_out: What is lacking or not used, by reason.
        notes: What else is known of the whole.
        others: How many files there are no sounds, by suffix, where files and not tables say.
    """

    name: str
    title: str
    root: Path
    grouped_by: str
    groups: Mapping[str, Mapping[str, Sequence[AudioFile]]]
    left_out: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...] = ()
    others: Mapping[str, int] = field(default_factory=dict)

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
    """List the audio of a data set of any layout; absent files are listed too.

    Raises:
        DatasetError: No data set lies there, or nothing of it is left.
    """
    layout = None if str(root) == DEMO else layout_of(Path(root))
    title = layout.title if layout else "the built-in demo corpus"
    if layout is not None and layout.name == "voxforge":
        return _of_languages(Path(root), title)
    if layout is not None and layout.name == "urbansound8k":
        return _of_classes(Path(root), title)
    if layout is None and str(root) != DEMO:
        raise DatasetError(describe(Path(root)))
    return _of_corpus(root, title)


def _of_corpus(root: str | Path, title: str) -> Inventory:
    corpus = open_corpus(root, on_bad_audio="skip")
    category = {sound.id: sound.category for sound in corpus.sounds}
    sounds = _grouped((sound.category, sound) for sound in corpus.sounds)
    imitations = _grouped((category[each.sound_id], each) for each in corpus.imitations)
    groups = {
        name: {"sounds": sounds[name], "imitations": imitations.get(name, [])} for name in sounds
    }
    classes = {kind for sound in corpus.sounds for kind in sound.classes}
    people = {each.participant for each in corpus.imitations} - {""}
    notes = [f"{len(classes):,} classes"] if classes else []
    notes += [f"{len(people):,} people imitate"] if people else []
    left_out, others = dict(corpus.missing), Counter[str]()
    if corpus.name == "folder" and corpus.root.is_dir():  # else a table says what is what
        found = list_audio(corpus.root)
        others = found.others
        for path, reason in found.unusable.items():
            left_out[reason] = (*left_out.get(reason, ()), path)
    return Inventory(
        corpus.name, title, corpus.root, "category", groups, left_out, tuple(notes), others
    )


def _of_languages(root: Path, title: str) -> Inventory:
    present = [name for name in LANGUAGES if language_folder(root, name).is_dir()]
    if not present:
        raise DatasetError(f"{root} has no folder of a language: {', '.join(LANGUAGES)}.")
    speech = load_voxforge(root, present, limit=None)
    by_language = _grouped((clip.label, clip) for clip in speech.clips)
    groups = {name: {"clips": clips} for name, clips in by_language.items()}
    speakers = {name: len({c.group for c in speech.clips if c.label == name}) for name in groups}
    note = ", ".join(f"{name} ({count:,})" for name, count in speakers.items())
    return Inventory(
        speech.name, title, root, "language", groups, speech.skipped, (f"speakers: {note}",)
    )


def _of_classes(root: Path, title: str) -> Inventory:
    urban = load_urbansound8k(root, "skip")
    by_class = _grouped((clip.label, clip) for clip in urban.clips)
    groups = {name: {"clips": clips} for name, clips in by_class.items()}
    folds = Counter(int(clip.group) for clip in urban.clips)
    note = ", ".join(f"{fold} ({count:,})" for fold, count in sorted(folds.items()))
    return Inventory(
        urban.name, title, urban.root, "class", groups, urban.skipped, (f"folds: {note}",)
    )


def _grouped(pairs: Iterable[tuple[str, AudioFile]]) -> dict[str, list[AudioFile]]:
    groups: dict[str, list[AudioFile]] = {}
    for name, record in pairs:
        groups.setdefault(name, []).append(record)
    return groups
