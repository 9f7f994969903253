"""What a corpus of sounds and their vocal imitations is, and how one lies on disk."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from posixpath import normpath
from typing import Literal

from vocalsketch.datasets.discovery import Files, composed
from vocalsketch.datasets.tables import why_no_table
from vocalsketch.errors import DatasetError

OnBadAudio = Literal["error", "skip", "use"]

# The reasons that Corpus.missing gives.
NOT_DISTRIBUTED = (
    "everyday sounds that VocalSketch does not distribute: "
    "`vocalsketch data import-everyday` adds them"
)
FILE_GONE = "files that the tables name and the disk lacks"
ALONE = "recordings that are the only ones of their class"

ONE_CATEGORY = "sounds"  # of a corpus in which every sound is ranked among all
DEMO_MARKER = "DEMO"  # a file that marks a synthesised data set in another one's layout

MERGE = "Ranking needs at least two: add a sound, or merge it into another category."
ONE_ROW = "Keep one row of each."
NAMED_AT_ONCE = 10


@dataclass(frozen=True, slots=True)
class Sound:
    """A sound recording that was imitated: a candidate."""

    id: str  # the file name, unique in its corpus
    path: Path
    category: str  # within which it is ranked, such as ``acoustic instruments``
    label: str  # what it is called, for people to read; not unique
    # What kinds of sound it is, where that is known: sounds that share a class with a query's
    # target are relevant to the query beside the target itself.
    classes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Imitation:
    """A vocal imitation: a query."""

    id: str  # the file name (with its folder where names recur), unique in its corpus
    path: Path
    sound_id: str  # of the sound imitated: its target
    participant: str = ""  # who imitated it, where that is known


@dataclass(frozen=True)
class Corpus:
    """Sounds and the imitations of them."""

    name: str  # the layout's, such as ``vocalsketch``, or ``demo``; printed beside every result
    root: Path  # the folder (or CSV file) it was read from
    sounds: tuple[Sound, ...]  # sorted by (category, id)
    imitations: tuple[Imitation, ...]  # sorted by (sound's category, sound_id, id)
    # What the tables name and the disk lacks, by reason: ``NOT_DISTRIBUTED`` is expected,
    # ``FILE_GONE`` is damage that ``on_bad_audio="skip"`` let pass.
    missing: dict[str, tuple[str, ...]] = field(default_factory=dict)
    held_out: frozenset[str] = frozenset()  # sounds of the second of two corpora, which only test

    @property
    def categories(self) -> tuple[str, ...]:
        """The categories, sorted."""
        return tuple(sorted({sound.category for sound in self.sounds}))


@dataclass(frozen=True)
class Layout:
    """A data set's layout, which recognises itself and explains itself."""

    name: str  # what results are marked with, such as ``vimsketch``
    title: str  # what people call it
    tree: str  # how it must lie, for people to read
    # What has to be there in any capitals, each a choice of patterns; a slash at the end means a
    # folder.
    needs: tuple[tuple[str, ...], ...]
    signs: tuple[str, ...] = ()  # what else tells that a folder was meant to be it
    # Reads it, or raises a DatasetError of all that is wrong; None where it has no imitations.
    load: Callable[[Path, OnBadAudio], Corpus] | None = None
    columns: tuple[str, ...] = ()  # where it is a table: those by which it is told

    def missing(self, root: Path) -> list[str]:
        """Return what ``root`` lacks of what has to be there."""
        return [
            " or ".join(choice)
            for choice in self.needs
            if not any(self._holds(root, pattern) for pattern in choice)
        ]

    def recognises(self, root: Path) -> float:
        """Return the share of the layout that lies at ``root``: 1 is the data set, 0 is another."""
        lacking = len(self.missing(root))
        if not lacking:
            return 1.0
        signs = sum(_is_there(root, sign) for sign in self.signs)
        return (len(self.needs) - lacking + signs) / (len(self.needs) + len(self.signs))

    def explain(self, root: Path) -> str:
        """Return what ``root`` lacks and how the data set must lie."""
        return (
            f"{root} is nearly {self.title}, but lacks {', '.join(self.missing(root))}. "
            f"{self.title} lies so: {self.tree}."
        )

    def _holds(self, root: Path, pattern: str) -> bool:
        if self.columns:
            return root.is_file() and not why_no_table(root, self.columns)
        return _is_there(root, pattern)


def _is_there(root: str | Path, pattern: str) -> bool:
    part, slash, rest = pattern.lower().partition("/")
    try:
        with os.scandir(root) as entries:
            alike = [entry for entry in entries if fnmatchcase(entry.name.lower(), part)]
        if not slash:
            return any(entry.is_file() for entry in alike)
        return any(entry.is_dir() and (not rest or _is_there(entry.path, rest)) for entry in alike)
    except OSError:
        return False


def name_at(root: Path, name: str) -> str:
    """Return what a corpus in a layout is called: ``demo`` where it is a synthesised one."""
    return "demo" if (root / DEMO_MARKER).is_file() else name


class Tree(Files):
    """A data set's files, and all that is wrong with it, so that its owner meets that at once.

    ``source`` is its folder, or the table beside which its files lie.
    """

    def __init__(self, source: Path, on_bad_audio: OnBadAudio) -> None:
        super().__init__(source.parent if source.is_file() else source)
        self.source = source
        self.on_bad_audio = on_bad_audio
        self.sounds: dict[str, Sound] = {}  # by the name that imitations tell them by
        self.imitations: dict[str, Imitation] = {}
        self._gone: list[str] = []
        self._faults: dict[tuple[str, str], list[str]] = {}

    def fault(self, what: str, name: str, remedy: str) -> None:
        """Note a fault: what it is, where, and what to do about every one of its kind."""
        self._faults.setdefault((what, remedy), []).append(name)

    def audio(self, name: str, where: str = "") -> Path | None:
        """Return the file that a table names somewhere; note where it is gone."""
        path = self.find(name)
        if path is None:
            self._gone.append(f"{name}{where}")
            if self.on_bad_audio != "skip":
                remedy = "Restore it, or set on_bad_audio to skip to go on without."
                self.fault("lacks audio that its tables name", self._gone[-1], remedy)
        return path

    def located(self, name: str, folder: str = "", where: str = "") -> tuple[str, Path | None]:
        """Return likewise a file, before it one id for the spellings of its name in a folder.

        It is as on disk, else as named; names outside ``root`` are kept as they are written.
        """
        path = self.audio(folder + name, where)
        name = folder + name
        if path is not None and path.is_relative_to(self.root):
            name = path.relative_to(self.root).as_posix()
        return composed(normpath(name.replace("\\", "/"))).removeprefix(folder), path

    def imitated(
        self, name: str, path: Path | None, sound_id: str, participant: str = "", table: str = ""
    ) -> None:
        """Add an imitation that is on disk, or note that a table names it twice."""
        if name in self.imitations:
            self.fault(f"names imitations twice in {table}", name, ONE_ROW)
        if path is not None:
            self.imitations[name] = Imitation(name, path, sound_id, participant)

    def corpus(self, name: str, missing: Mapping[str, Iterable[str]] | None = None) -> Corpus:
        """Return the sounds and the imitations whose sound is among them.

        Gone files are ``missing`` beside others.

        Raises:
            DatasetError: Something was noted, or no sound or imitation is left.
        """
        sounds = self.sounds.values()
        ordered = tuple(sorted(sounds, key=lambda sound: (sound.category, sound.id)))
        if self._faults:
            for category in single_categories(ordered):
                self.fault("has a category of one sound", repr(category), MERGE)
            lines = [
                f"{what}: {named(dict.fromkeys(names))}. {remedy}"
                for (what, remedy), names in self._faults.items()
            ]
            raise DatasetError("\n- it ".join([f"{self.source} cannot be used as it is:", *lines]))
        place = {sound.id: position for position, sound in enumerate(ordered)}
        kept = sorted(
            (each for each in self.imitations.values() if each.sound_id in place),
            key=lambda each: (place[each.sound_id], each.id),
        )
        reasons = {FILE_GONE: self._gone, **(missing or {})}
        lacking = {reason: tuple(sorted(set(names))) for reason, names in reasons.items() if names}
        for found, noun in ((ordered, "sound recording"), (kept, "imitation of a sound")):
            if not found:
                counts = "; ".join(f"{len(names)} {reason}" for reason, names in lacking.items())
                counts = f" ({counts})" if counts else ""
                raise DatasetError(f"No {noun} was found in {self.source}{counts}.")
        return Corpus(name, self.source, ordered, tuple(kept), lacking)


def single_categories(sounds: Iterable[Sound]) -> list[str]:
    """Return the categories with one sound, within which nothing can be ranked."""
    counts = Counter(sound.category for sound in sounds)
    return sorted(category for category, count in counts.items() if count == 1)


def named(names: Iterable[str]) -> str:
    """Return the first ten names and how many more there are, for a message.

    >>> named(["b", "a"])
    'a, b'
    >>> named(str(number) for number in range(12))
    '0, 1, 10, 11, 2, 3, 4, 5, 6, 7 and 2 more'
    """
    ordered = sorted(names)
    more = len(ordered) - NAMED_AT_ONCE
    return ", ".join(ordered[:NAMED_AT_ONCE]) + (f" and {more} more" if more > 0 else "")
