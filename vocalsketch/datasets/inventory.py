"""What audio a data set of any layout holds, without decoding it."""

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from vocalsketch.datasets.discovery import Listing, list_audio
from vocalsketch.datasets.labelled import LabelledCorpus
from vocalsketch.datasets.open import DEMO, describe, layout_of, open_corpus
from vocalsketch.datasets.records import FILE_GONE, Corpus
from vocalsketch.datasets.urbansound8k import load_urbansound8k
from vocalsketch.datasets.voxforge import LANGUAGES, language_folder, load_voxforge
from vocalsketch.errors import DatasetError

_DAMAGE = frozenset({FILE_GONE, "file is missing", "zero-byte file", "damaged archive"})
NO_PART = "sounds in its folder that are no part of it"


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
        others: How many files of its folder are hidden or no sounds, by suffix.
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
        raise DatasetError(describe(Path(root), imitated=False))
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
    return _inventory(corpus, title, "category", groups, corpus.missing, notes)


def _of_languages(root: Path, title: str) -> Inventory:
    present = [name for name in LANGUAGES if language_folder(root, name).is_dir()]
    if not present:
        raise DatasetError(f"{root} has no folder of a language: {', '.join(LANGUAGES)}.")
    speech = load_voxforge(root, present, limit=None)
    speakers = Counter(label for label, _ in {(clip.label, clip.group) for clip in speech.clips})
    note = ", ".join(f"{name} ({count:,})" for name, count in sorted(speakers.items()))
    return _of_clips(speech, title, "language", f"speakers: {note}")


def _of_classes(root: Path, title: str) -> Inventory:
    urban = load_urbansound8k(root, "skip")
    folds = Counter(int(clip.group) for clip in urban.clips)
    note = ", ".join(f"{fold} ({count:,})" for fold, count in sorted(folds.items()))
    return _of_clips(urban, title, "class", f"folds: {note}")


def _of_clips(corpus: LabelledCorpus, title: str, grouped_by: str, note: str) -> Inventory:
    by_label = _grouped((clip.label, clip) for clip in corpus.clips)
    groups = {name: {"clips": clips} for name, clips in by_label.items()}
    return _inventory(corpus, title, grouped_by, groups, corpus.skipped, [note])


def _inventory(
    corpus: Corpus | LabelledCorpus,
    title: str,
    grouped_by: str,
    groups: Mapping[str, Mapping[str, Sequence[AudioFile]]],
    skipped: Mapping[str, tuple[str, ...]],
    notes: Sequence[str],
) -> Inventory:
    """Return the inventory, with what else lies in the folder."""
    used = {
        os.path.realpath(record.path)
        for group in groups.values()
        for records in group.values()
        for record in records
    }
    root = corpus.root
    found = list_audio(root) if root.is_dir() else Listing()
    left_out = defaultdict(list, {reason: list(names) for reason, names in skipped.items()})
    for path, reason in found.unusable.items():
        left_out[reason].append(path)
    for each in found.files:
        if os.path.realpath(root / each.path) not in used:
            left_out[NO_PART].append(each.path)
    whole = {reason: tuple(names) for reason, names in left_out.items()}
    return Inventory(
        corpus.name, title, root, grouped_by, groups, whole, tuple(notes), found.others
    )


def _grouped(pairs: Iterable[tuple[str, AudioFile]]) -> dict[str, list[AudioFile]]:
    groups: dict[str, list[AudioFile]] = {}
    for name, record in pairs:
        groups.setdefault(name, []).append(record)
    return groups
