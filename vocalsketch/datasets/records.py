"""What a corpus of sounds and their vocal imitations is, whatever layout it has on disk."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from vocalsketch.errors import DatasetError

OnBadAudio = Literal["error", "skip"]

# The reasons that Corpus.missing gives.
NOT_DISTRIBUTED = (
    "everyday sounds that VocalSketch does not distribute: "
    "`vocalsketch data import-everyday` adds them"
)
FILE_GONE = "files that the tables name and the disk lacks"

NAMED_AT_ONCE = 10


@dataclass(frozen=True, slots=True)
class Sound:
    """A sound recording that was imitated: a candidate.

    Attributes:
        id: The file name, unique in its corpus.
        path: Where the audio lies.
        category: The category within which it is ranked, such as ``acoustic instruments``.
        label: What it is called, for people to read; not unique.
    """

    id: str
    path: Path
    category: str
    label: str


@dataclass(frozen=True, slots=True)
class Imitation:
    """A vocal imitation: a query.

    Attributes:
        id: The file name (with its folder where names recur), unique in its corpus.
        path: Where the audio lies.
        sound_id: The ``Sound.id`` of the sound imitated: its target.
    """

    id: str
    path: Path
    sound_id: str


@dataclass(frozen=True)
class Corpus:
    """Sounds and the imitations of them, each sorted by id.

    Attributes:
        name: ``vocalsketch``, ``folder`` or ``demo``; printed beside every result.
        root: The folder (or CSV file) it was read from.
        sounds: The sounds, sorted by (category, id).
        imitations: The imitations of those sounds, sorted by (sound's category, sound_id, id).
        missing: What the tables name and the disk lacks, by reason: ``NOT_DISTRIBUTED`` is
            expected, ``FILE_GONE`` is damage that ``on_bad_audio="skip"`` let pass.
    """

    name: str
    root: Path
    sounds: tuple[Sound, ...]
    imitations: tuple[Imitation, ...]
    missing: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def categories(self) -> tuple[str, ...]:
        """The categories, sorted."""
        return tuple(sorted({sound.category for sound in self.sounds}))


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
    lacking = {reason: tuple(sorted(names)) for reason, names in missing.items() if names}
    for found, noun in ((ordered, "sound recording"), (kept, "imitation of a sound")):
        if not found:
            raise DatasetError(f"No {noun} was found in {root}{_lacking_note(lacking)}.")
    return Corpus(name, root, ordered, tuple(kept), lacking)


def gone_files(paths: Iterable[Path], root: Path, on_bad_audio: OnBadAudio) -> tuple[str, ...]:
    """Return the names, relative to ``root``, of files that its tables name and the disk lacks.

    Raises:
        DatasetError: There is one, and ``on_bad_audio`` is ``error``.
    """
    names = tuple(str(p.relative_to(root) if p.is_relative_to(root) else p) for p in paths)
    if names and on_bad_audio == "error":
        raise DatasetError(
            f"{root} lacks audio that its tables name: {named(names)}. "
            "Restore it, or set on_bad_audio to skip to go on without."
        )
    return names


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


def _lacking_note(lacking: Mapping[str, tuple[str, ...]]) -> str:
    counts = "; ".join(f"{len(names)} {reason}" for reason, names in lacking.items())
    return f" ({counts})" if counts else ""
