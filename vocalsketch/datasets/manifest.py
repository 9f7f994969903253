"""A division of a corpus, and the file that keeps it."""

import hashlib
import json
from collections import Counter
from collections.abc import Collection
from dataclasses import asdict, dataclass, fields
from itertools import chain
from pathlib import Path

from vocalsketch.datasets.names import composed
from vocalsketch.datasets.records import Corpus, Sound, named
from vocalsketch.errors import DatasetError
from vocalsketch.files import read_regular, write_text

MANIFEST_FORMAT = "vocalsketch split"
MANIFEST_VERSION = 1


@dataclass(frozen=True)
class Split:
    """A division of a corpus by ids, independent of where its files lie.

    Sounds are divided into development and test sounds; the imitations of development sounds
    into training and validation ones. No sound and no imitation stands on two sides.

    Attributes:
        name: How it was made: ``paper``, ``random(seed=3)``, ``fold 2 of 5 (seed=0)``, ...
        corpus: ``Corpus.name``.
        development_sounds: Ids of the sounds that train and validate.
        test_sounds: Ids of the sounds of the test half.
        train_imitations: Ids; every target is a development sound.
        validation_imitations: Ids; every target is a development sound.
        test_imitations: Ids; every target is a test sound.

    Raises:
        DatasetError: An id stands on two sides or twice on one, or a side is empty.
    """

    name: str
    corpus: str
    development_sounds: tuple[str, ...]
    test_sounds: tuple[str, ...]
    train_imitations: tuple[str, ...]
    validation_imitations: tuple[str, ...]
    test_imitations: tuple[str, ...]

    def __post_init__(self) -> None:
        for side, ids in self._sides().items():
            if not ids:
                raise DatasetError(
                    f"Split {self.name!r} of {self.corpus} has no {side.replace('_', ' ')}: "
                    "every sound needs at least two imitations, one to train and one to validate."
                )
        for kind in ("sounds", "imitations"):
            counts = Counter(chain(*(ids for side, ids in self._sides().items() if kind in side)))
            repeated = [identity for identity, count in counts.items() if count > 1]
            if repeated:
                raise DatasetError(
                    f"Split {self.name!r} places more than once: {named(repeated)}. "
                    "Each sound and each imitation belongs to one side."
                )

    @property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that are equal where the sides are, whatever the order."""
        sides = {side: sorted(ids) for side, ids in self._sides().items()}
        content = json.dumps([self.corpus, sides], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    @property
    def sounds(self) -> frozenset[str]:
        """The ids of both halves."""
        return frozenset(self.development_sounds + self.test_sounds)

    def check(self, corpus: Corpus) -> None:
        """Hold the split against the corpus that it divides.

        Raises:
            DatasetError: The corpus is another one or lacks ids, an imitation stands on another
                side than its target, or a category has fewer than two sounds on a side.
        """
        if self.corpus != corpus.name:
            raise DatasetError(
                f"Split {self.name!r} divides the corpus {self.corpus!r}; {corpus.root} is "
                f"{corpus.name!r}. Take a split of that corpus."
            )
        sounds = {sound.id: sound for sound in corpus.sounds}
        target = {imitation.id: imitation.sound_id for imitation in corpus.imitations}
        lacking = [
            identity
            for side, ids in self._sides().items()
            for identity in ids
            if identity not in (sounds if "sounds" in side else target)
        ]
        if lacking:
            raise DatasetError(
                f"Split {self.name!r} names what {corpus.root} lacks: {named(lacking)}. "
                "Restore it, or make a split of what is there."
            )
        developing = self.train_imitations + self.validation_imitations
        for side, queries, targets in (
            ("development", developing, self.development_sounds),
            ("test", self.test_imitations, self.test_sounds),
        ):
            strays = [query for query in queries if target[query] not in set(targets)]
            if strays:
                raise DatasetError(
                    f"Split {self.name!r} parts imitations from their sounds: {named(strays)}. "
                    "An imitation belongs to the side of the sound it imitates."
                )
            check_rankable(corpus, side, [sounds[identity] for identity in targets])

    def _sides(self) -> dict[str, tuple[str, ...]]:
        return {key: value for key, value in asdict(self).items() if key not in ("name", "corpus")}


def write_manifest(split: Split, path: Path) -> None:
    """Write the split as JSON that any run can be given, an id on each line."""
    content = {"format": MANIFEST_FORMAT, "version": MANIFEST_VERSION, **asdict(split)}
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def read_manifest(path: Path) -> Split:
    """Read what ``write_manifest`` wrote; ``Split.check`` holds it against a corpus.

    Raises:
        DatasetError: The file is not such a manifest, or of a later version.
    """
    try:
        content = json.loads(read_regular(path))
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} cannot be read as a split manifest: {error}.") from error
    if not isinstance(content, dict) or content.get("format") != MANIFEST_FORMAT:
        raise DatasetError(f"{path} is not a split manifest: `vocalsketch data split` writes one.")
    if content.get("version") != MANIFEST_VERSION:
        raise DatasetError(
            f"{path} has manifest version {content.get('version')!r}, this program reads "
            f"{MANIFEST_VERSION}: make the split again, or use the program that wrote it."
        )
    sides = [content.get(field.name) for field in fields(Split)[2:]]
    bad = [field.name for field, ids in zip(fields(Split)[2:], sides, strict=True) if not _ids(ids)]
    if bad:
        raise DatasetError(f"{path} has no list of ids as {', '.join(bad)}: make the split again.")
    names = (str(content.get("name")), str(content.get("corpus")))
    return Split(*names, *(tuple(map(composed, ids or ())) for ids in sides))


def _ids(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(identity, str) for identity in value)


def check_rankable(corpus: Corpus, side: str, sounds: Collection[Sound]) -> None:
    """Hold a side of a corpus against what a rank needs.

    Raises:
        DatasetError: A category has fewer than two sounds there.
    """
    counts = Counter(sound.category for sound in sounds)
    here = {sound.category for sound in sounds} if corpus.held_out else corpus.categories
    for category in sorted(here):
        if counts[category] < 2:
            raise DatasetError(
                f"Category {category!r} of {corpus.root} has {counts[category]} of its sounds on "
                f"the {side} side: ranking needs at least two. Add sounds, leave the category "
                "out, or choose another split."
            )
