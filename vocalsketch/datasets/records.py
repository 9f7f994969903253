"""What a corpus of sounds and their vocal imitations is, whatever layout it has on disk."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

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

MERGE = "Ranking needs at least two: add a sound, or merge it into another category."
NAMED_AT_ONCE = 10


@dataclass(frozen=True, slots=True)
class Sound:
    """A sound recording that was imitated: a candidate.

    Attributes:
        id: The file name, unique in its corpus.
        path: Where the audio lies.
        category: The category within which it is ranked, such as ``acoustic instruments``.
        label: What it is called, for people to read; not unique.
        classes: What kinds of sound it is, where that is known: sounds that share a class with a
            query's target are relevant to the query beside the target itself.
    """

    id: str
    path: Path
    category: str
    label: str
    classes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Imitation:
    """A vocal imitation: a query.

    Attributes:
        id: The file name (with its folder where names recur), unique in its corpus.
        path: Where the audio lies.
        sound_id: The ``Sound.id`` of the sound imitated: its target.
        participant: Who imitated it, where that is known.
    """

    id: str
    path: Path
    sound_id: str
    participant: str = ""


@dataclass(frozen=True)
class Corpus:
    """Sounds and the imitations of them, each sorted by id.

    Attributes:
        name: The layout's, such as ``vocalsketch``, or ``demo``; printed beside every result.
        root: The folder (or CSV file) it was read from.
        sounds: The sounds, sorted by (category, id).
        imitations: The imitations of those sounds, sorted by (sound's category, sound_id, id).
        missing: What the tables name and the disk lacks, by reason: ``NOT_DISTRIBUTED`` is
            expected, ``FILE_GONE`` is damage that ``on_bad_audio="skip"`` let pass.
        held_out: Ids of the sounds that may only test: those of the second of two corpora that
            were joined; empty otherwise.
    """

    name: str
    root: Path
    sounds: tuple[Sound, ...]
    imitations: tuple[Imitation, ...]
    missing: dict[str, tuple[str, ...]] = field(default_factory=dict)
    held_out: frozenset[str] = frozenset()

    @property
    def categories(self) -> tuple[str, ...]:
        """The categories, sorted."""
        return tuple(sorted({sound.category for sound in self.sounds}))


class Faults:
    """What is wrong with a data set, gathered so that its owner meets all of it at once."""

    def __init__(self, root: Path, on_bad_audio: OnBadAudio) -> None:
        self.root = root
        self.on_bad_audio = on_bad_audio
        self.gone: list[str] = []
        self._found: dict[tuple[str, str], list[str]] = {}

    def add(self, what: str, name: str, remedy: str) -> None:
        """Note a fault: what it is, where, and what to do about every one of its kind."""
        self._found.setdefault((what, remedy), []).append(name)

    def add_gone(self, name: str) -> None:
        """Note a file that a table names and the disk lacks."""
        self.gone.append(name)
        if self.on_bad_audio != "skip":
            remedy = "Restore it, or set on_bad_audio to skip to go on without."
            self.add("lacks audio that its tables name", name, remedy)

    def corpus(
        self,
        name: str,
        sounds: Iterable[Sound],
        imitations: Iterable[Imitation],
        missing: Mapping[str, Iterable[str]] | None = None,
    ) -> Corpus:
        """Return the corpus of what was read, whose gone files are ``missing`` beside others.

        Raises:
            DatasetError: Something was noted, or no sound or imitation is left.
        """
        sounds = list(sounds)
        if self._found:
            self._refuse(sounds)
        missing = {FILE_GONE: self.gone, **(missing or {})}
        return assemble(name, self.root, sounds, imitations, missing)

    def _refuse(self, sounds: Iterable[Sound]) -> None:
        """Raise what was noted, and with it which categories have a single sound."""
        for category in single_categories(sounds):
            self.add("has a category of one sound", repr(category), MERGE)
        lines = [
            f"{what}: {named(dict.fromkeys(names))}. {remedy}"
            for (what, remedy), names in self._found.items()
        ]
        raise DatasetError("\n- it ".join([f"{self.root} cannot be used as it is:", *lines]))


def single_categories(sounds: Iterable[Sound]) -> list[str]:
    """Return the categories with one sound, within which nothing can be ranked."""
    counts = Counter(sound.category for sound in sounds)
    return sorted(category for category, count in counts.items() if count == 1)


def assemble(
    name: str,
    root: Path,
    sounds: Iterable[Sound],
    imitations: Iterable[Imitation],
    missing: Mapping[str, Iterable[str]],
) -> Corpus:
    """Return the corpus of those sounds and of the imitations whose sound is among them.

    Raises:
        DatasetError: No sound, or no imitation of one, is left.
    """
    ordered = tuple(sorted(sounds, key=lambda sound: (sound.category, sound.id)))
    place = {sound.id: position for position, sound in enumerate(ordered)}
    kept = sorted(
        (imitation for imitation in imitations if imitation.sound_id in place),
        key=lambda imitation: (place[imitation.sound_id], imitation.id),
    )
    lacking = {reason: tuple(sorted(set(names))) for reason, names in missing.items() if names}
    for found, noun in ((ordered, "sound recording"), (kept, "imitation of a sound")):
        if not found:
            counts = "; ".join(f"{len(names)} {reason}" for reason, names in lacking.items())
            raise DatasetError(f"No {noun} was found in {root}{f' ({counts})' if counts else ''}.")
    return Corpus(name, root, ordered, tuple(kept), lacking)


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
