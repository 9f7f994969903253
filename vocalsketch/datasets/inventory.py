"""What audio a data set of any layout holds, without decoding it."""

import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vocalsketch.datasets.discovery import Listing, list_audio
from vocalsketch.datasets.labelled import LabelledClip, LabelledCorpus, load_urbansound8k
from vocalsketch.datasets.open import DEMO, describe, layout_of, open_corpus
from vocalsketch.datasets.records import FILE_GONE, Corpus, Imitation, Layout, Sound
from vocalsketch.datasets.voxforge import LANGUAGES, language_folder, load_voxforge
from vocalsketch.errors import DatasetError

NO_PART = "sounds in its folder that are no part of it"
_DAMAGE = frozenset({FILE_GONE, "file is missing", "zero-byte file", "damaged archive"})

AudioFile = Sound | Imitation | LabelledClip


@dataclass(frozen=True)
class Inventory:
    """The audio of a data set, grouped."""

    name: str
    title: str  # what people call its layout
    root: Path
    grouped_by: str  # what a group is: ``category``, ``language`` or ``class``
    # group -> kind (``sounds``, ``imitations`` or ``clips``) -> the records
    groups: Mapping[str, Mapping[str, Sequence[AudioFile]]]
    left_out: Mapping[str, tuple[str, ...]]  # what is lacking or not used, by reason
    notes: tuple[str, ...] = ()  # what else is known of the whole
    others: Mapping[str, int] = field(default_factory=dict)  # hidden or no sounds, by suffix

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
    title = "the built-in demo corpus"
    if str(root) != DEMO:
        layout = layout_of(Path(root))
        if layout is None:
            raise DatasetError(describe(Path(root), imitated=False))
        if layout.load is None:
            return _of_clips(Path(root), layout)
        title = layout.title
    corpus = open_corpus(root, on_bad_audio="skip")
    category = {sound.id: sound.category for sound in corpus.sounds}
    records = [(sound.category, "sounds", sound) for sound in corpus.sounds]
    imitated = [(category[each.sound_id], "imitations", each) for each in corpus.imitations]
    classes = {kind for sound in corpus.sounds for kind in sound.classes}
    people = {each.participant for each in corpus.imitations} - {""}
    notes = [f"{len(classes):,} classes"] if classes else []
    notes += [f"{len(people):,} people imitate"] if people else []
    return _inventory(corpus, title, "category", [*records, *imitated], corpus.missing, notes)


def _of_clips(root: Path, layout: Layout) -> Inventory:
    if layout.name == "voxforge":
        present = [name for name in LANGUAGES if language_folder(root, name).is_dir()]
        if not present:
            raise DatasetError(f"{root} has no folder of a language: {', '.join(LANGUAGES)}.")
        corpus, grouped_by = load_voxforge(root, present, limit=None), "language"
        pairs = {(clip.label, clip.group) for clip in corpus.clips}
        counted, counts = "speakers", Counter(label for label, _ in pairs)
    else:
        corpus, grouped_by = load_urbansound8k(root, "skip"), "class"
        counted, counts = "folds", Counter(f"{int(clip.group):2}" for clip in corpus.clips)
    shown = ", ".join(f"{name.strip()} ({count:,})" for name, count in sorted(counts.items()))
    records = [(clip.label, "clips", clip) for clip in corpus.clips]
    notes = [f"{counted}: {shown}"]
    return _inventory(corpus, layout.title, grouped_by, records, corpus.skipped, notes)


def _inventory(
    corpus: Corpus | LabelledCorpus,
    title: str,
    grouped_by: str,
    records: Sequence[tuple[str, str, AudioFile]],
    skipped: Mapping[str, tuple[str, ...]],
    notes: Sequence[str],
) -> Inventory:
    """Return the inventory of records, each with its group and kind, and what else lies there."""
    kinds = dict.fromkeys(kind for _, kind, _ in records)
    groups = {group: {kind: list[AudioFile]() for kind in kinds} for group, _, _ in records}
    for group, kind, record in records:
        groups[group][kind].append(record)
    used = {os.path.realpath(record.path) for _, _, record in records}
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
