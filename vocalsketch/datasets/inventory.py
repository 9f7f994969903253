"""What audio a data set of any layout holds, without decoding it."""

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vocalsketch.datasets.discovery import Listing, list_audio
from vocalsketch.datasets.labelled import LabelledClip, LabelledCorpus, load_urbansound8k
from vocalsketch.datasets.open import DEMO, describe, layout_of, open_corpus
from vocalsketch.datasets.records import FILE_GONE, Corpus, Imitation, Sound
from vocalsketch.datasets.voxforge import LANGUAGES, language_folder, load_voxforge
from vocalsketch.errors import DatasetError

NO_PART = "sounds in its folder that are no part of it"
_DAMAGE = frozenset({FILE_GONE, "file is missing", "zero-byte file", "damaged archive"})

AudioFile = Sound | Imitation | LabelledClip
Rows = list[tuple[str, str, AudioFile]]


@dataclass(frozen=True)
class Inventory:
    """The audio of a data set."""

    corpus: Corpus | LabelledCorpus
    title: str  # what people call its layout
    grouped_by: str  # what a group is: ``category``, ``language`` or ``class``
    files: Rows  # of each its group, its kind (``sounds``, ``imitations`` or ``clips``), its record
    left_out: Mapping[str, list[str]]  # what is lacking or not used, by reason
    notes: list[str]  # what else is known of the whole
    others: Mapping[str, int]  # hidden or no sounds, by suffix

    @property
    def damaged(self) -> list[str]:
        """What the data set ought to hold and does not, each with the reason."""
        reasons = [reason for reason in self.left_out if reason in _DAMAGE]
        return [f"{name}: {reason}" for reason in reasons for name in self.left_out[reason]]


def take_inventory(root: str | Path) -> Inventory:
    """List the audio of a data set of any layout; absent files are listed too.

    Raises:
        DatasetError: No data set lies there, or nothing of it is left.
    """
    layout = None if str(root) == DEMO else layout_of(Path(root))
    if layout is None and str(root) != DEMO:
        raise DatasetError(describe(Path(root), imitated=False))
    title = layout.title if layout else "the built-in demo corpus"
    if layout and layout.load is None:
        voxforge = layout.name == "voxforge"
        clips = _languages(Path(root)) if voxforge else load_urbansound8k(Path(root), "skip")
        rows: Rows = [(clip.label, "clips", clip) for clip in clips.clips]
        grouped_by, note = ("language", "speakers") if voxforge else ("class", "folds")
        pairs = {(clip.label, clip.group) for clip in clips.clips}
        counts = Counter(label for label, _ in pairs)
        if not voxforge:
            counts = Counter(f"{int(clip.group):2}" for clip in clips.clips)
        shown = ", ".join(f"{name.strip()} ({count:,})" for name, count in sorted(counts.items()))
        return _inventory(clips, title, grouped_by, rows, clips.skipped, [f"{note}: {shown}"])
    corpus = open_corpus(root, on_bad_audio="skip")
    category = {sound.id: sound.category for sound in corpus.sounds}
    rows = [(sound.category, "sounds", sound) for sound in corpus.sounds]
    rows += [(category[each.sound_id], "imitations", each) for each in corpus.imitations]
    classes = {kind for sound in corpus.sounds for kind in sound.classes}
    people = {each.participant for each in corpus.imitations} - {""}
    notes = [f"{len(classes):,} classes"] if classes else []
    notes += [f"{len(people):,} people imitate"] if people else []
    return _inventory(corpus, title, "category", rows, corpus.missing, notes)


def _languages(root: Path) -> LabelledCorpus:
    present = [name for name in LANGUAGES if language_folder(root, name).is_dir()]
    if not present:
        raise DatasetError(f"{root} has no folder of a language: {', '.join(LANGUAGES)}.")
    return load_voxforge(root, present, limit=None)


def _inventory(
    corpus: Corpus | LabelledCorpus,
    title: str,
    grouped_by: str,
    rows: Rows,
    skipped: Mapping[str, tuple[str, ...]],
    notes: list[str],
) -> Inventory:
    """Return the inventory with what else lies there."""
    used = {os.path.realpath(record.path) for _, _, record in rows}
    found = list_audio(corpus.root) if corpus.root.is_dir() else Listing()
    left_out = {reason: list(names) for reason, names in skipped.items()}
    for path, reason in found.unusable.items():
        left_out.setdefault(reason, []).append(path)
    paths = [each.path for each in found.files]
    strays = [path for path in paths if os.path.realpath(corpus.root / path) not in used]
    if strays:
        left_out[NO_PART] = strays
    return Inventory(corpus, title, grouped_by, rows, left_out, notes, found.others)
