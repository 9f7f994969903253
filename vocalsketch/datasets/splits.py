"""Divisions of a corpus into what trains, validates and tests, and the file that keeps one."""

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path

from pydantic import TypeAdapter

from vocalsketch.datasets.discovery import composed
from vocalsketch.datasets.records import Corpus, Sound, named
from vocalsketch.errors import ConfigError, DatasetError
from vocalsketch.files import read_regular, write_text

MANIFEST_FORMAT = "vocalsketch split"
MANIFEST_VERSION = 1


@dataclass(frozen=True)
class Split:
    """A division of a corpus by ids, independent of where its files lie.

    No sound and no imitation stands on two sides, and every imitation on the side of its sound.

    Raises:
        DatasetError: An id stands on two sides or twice on one, or a side is empty.
    """

    name: str  # how it was made: ``paper``, ``random(seed=3)``, ``fold 2 of 5 (seed=0)``, ...
    corpus: str  # ``Corpus.name``
    development_sounds: tuple[str, ...]  # that train and validate
    test_sounds: tuple[str, ...]
    train_imitations: tuple[str, ...]
    validation_imitations: tuple[str, ...]
    test_imitations: tuple[str, ...]

    def __post_init__(self) -> None:
        for side, ids in self.sides.items():
            if not ids:
                raise DatasetError(
                    f"Split {self.name!r} of {self.corpus} has no {side.replace('_', ' ')}: "
                    "every sound needs at least two imitations, one to train and one to validate."
                )
        for kind in ("sounds", "imitations"):
            counts = Counter(chain(*(ids for side, ids in self.sides.items() if kind in side)))
            repeated = [identity for identity, count in counts.items() if count > 1]
            if repeated:
                raise DatasetError(
                    f"Split {self.name!r} places more than once: {named(repeated)}. "
                    "Each sound and each imitation belongs to one side."
                )

    @property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that are equal where the sides are, whatever the order."""
        sides = {side: sorted(ids) for side, ids in self.sides.items()}
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
        developing = self.train_imitations + self.validation_imitations
        lacking = {*self.sounds} - {*sounds} | {*developing, *self.test_imitations} - {*target}
        if lacking:
            raise DatasetError(
                f"Split {self.name!r} names what {corpus.root} lacks: {named(lacking)}. "
                "Restore it, or make a split of what is there."
            )
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
            _check_rankable(corpus, side, [sounds[identity] for identity in targets])

    @property
    def sides(self) -> dict[str, tuple[str, ...]]:
        """The ids of each side, by the side's name."""
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
        if not isinstance(content, dict) or content.get("format") != MANIFEST_FORMAT:
            raise DatasetError(
                f"{path} is not a split manifest: `vocalsketch data split` makes one."
            )
        if content.get("version") != MANIFEST_VERSION:
            raise DatasetError(
                f"{path} has manifest version {content.get('version')!r}, this program reads "
                f"{MANIFEST_VERSION}: make the split again, or use the program that wrote it."
            )
        split = TypeAdapter(Split).validate_python(content)
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} cannot be read as a split manifest: {error}.") from error
    sides = {side: tuple(map(composed, ids)) for side, ids in split.sides.items()}
    return Split(split.name, split.corpus, **sides)


def _check_rankable(corpus: Corpus, side: str, sounds: Collection[Sound]) -> None:
    """Refuse a side on which a category has fewer than two sounds, where nothing ranks."""
    counts = Counter(sound.category for sound in sounds)
    here = {sound.category for sound in sounds} if corpus.held_out else corpus.categories
    for category in sorted(here):
        if counts[category] < 2:
            raise DatasetError(
                f"Category {category!r} of {corpus.root} has {counts[category]} of its sounds on "
                f"the {side} side: ranking needs at least two. Add sounds, leave the category "
                "out, or choose another split."
            )


# What a published protocol trains on and what it tests
PROTOCOLS = {
    "qvim": ("vimsketch", "qvim-dev"),
    "qbv_fine": ("vocalsketch", "vocal-imitation-set"),
}
COARSE_FOLDS = 10  # Greif et al., DCASE 2024, section 4
_NINE_IN_TEN = 0.9  # of a sound's imitations train

Order = Callable[[str], str]  # a sort key of ids


def make_split(corpus: Corpus, spec: str | Path, seed: int = 0) -> Split:
    """Return the split that ``spec`` describes, checked against the corpus.

    - ``paper`` (section V-A), confirmed by the authors' released arrays: within each category
      sorted by file name, the first half of the sounds develops and the second tests. Of a
      development sound's imitations, sorted by file name, the first seven in ten, rounded down (7
      of 10 and of 11), train and the others validate.
    - ``random``: the same in an order drawn from the seed.
    - ``fold K/N``: one of N divisions, K from 1, in an order drawn from the seed; over all of them
      each sound tests once.
    - ``qbv_coarse K`` (or ``K/N``): one of ten folds over concepts, whatever the seed; every sound
      of a concept, its first class or itself where no classes are known, stands on one side. Where
      participants are known, those who test do not train.
    - ``qvim``, ``qbv_fine`` or ``corpora``, of two joined corpora: the first develops, the second
      tests.
    - the path of a manifest.

    Raises:
        ConfigError: ``spec`` is none of these, or there is no such fold.
        DatasetError: The corpus cannot be divided so: a side would hold fewer than two sounds of a
            category, nobody would be left to train on, or a participant stands in both corpora.
    """
    numbers = re.fullmatch(r"(fold|qbv_coarse) (\d+)(?:/(\d+))?", str(spec))
    how, fold, folds = numbers.groups() if numbers else (str(spec), "", None)
    order = _drawn_order(seed)
    if how in (*PROTOCOLS, "corpora"):
        return _of_two(corpus, how)
    if how == "qbv_coarse":
        return _of_concepts(corpus, int(fold), int(folds or COARSE_FOLDS))
    if corpus.held_out and not Path(spec).is_file():
        raise ConfigError(f"split: {spec} divides one corpus: two are divided by 'corpora'.")
    if how == "paper":
        return _divided(corpus, how, _second_half(corpus, str), str)
    if how == "random":
        return _divided(corpus, f"random(seed={seed})", _second_half(corpus, order), order)
    if how == "fold" and folds:
        ordered = _ordered(corpus, order)
        tested = {each for sounds in ordered for each in _tested(sounds, int(fold), int(folds))}
        return _divided(corpus, f"fold {fold} of {folds} (seed={seed})", tested, order)
    if not Path(spec).is_file():
        raise ConfigError(
            f"split: {str(spec)!r} is neither 'paper', 'random' nor 'fold K/N', "
            "'qbv_coarse K', 'qvim', 'qbv_fine' nor 'corpora', and no manifest lies there."
        )
    split = read_manifest(Path(spec))
    split.check(corpus)
    return split


def _of_concepts(corpus: Corpus, fold: int, folds: int) -> Split:
    order = _drawn_order(0)
    concept = {sound.id: (sound.classes or (sound.id,))[0] for sound in corpus.sounds}
    tests = set(_tested(sorted(set(concept.values()), key=order), fold, folds))
    tested = {sound for sound, kind in concept.items() if kind in tests}
    people = _people(corpus, tested)
    kept = [
        each
        for each in corpus.imitations
        if each.sound_id in tested or each.participant not in people
    ]
    left = replace(corpus, imitations=tuple(kept))
    return _divided(left, f"qbv_coarse {fold} of {folds}", tested, order, _NINE_IN_TEN)


def _of_two(corpus: Corpus, name: str) -> Split:
    if not corpus.held_out:
        raise ConfigError(f"split: {name} needs two corpora: set test_root to the one that tests.")
    trains, tests = PROTOCOLS.get(name, corpus.name.split("+"))
    if corpus.name != f"{trains}+{tests}":
        raise DatasetError(
            f"split: {name} trains on {trains} and tests on {tests}; {corpus.root} with its "
            f"test_root is {corpus.name}. Give those two, or use split: corpora."
        )
    trained = {sound.id for sound in corpus.sounds} - corpus.held_out
    shared = _people(corpus, trained) & _people(corpus, corpus.held_out)
    if shared:
        raise DatasetError(
            f"split: {name} has participants who train and test: {named(shared)}. "
            "Leave their imitations out of one corpus."
        )
    return _divided(corpus, name, corpus.held_out, _drawn_order(0), _NINE_IN_TEN)


def _ordered(corpus: Corpus, order: Order) -> Collection[list[str]]:
    """Return each category's sounds in an order."""
    categories = defaultdict(list)
    for sound in sorted(corpus.sounds, key=lambda sound: order(sound.id)):
        categories[sound.category].append(sound.id)
    return categories.values()


def _second_half(corpus: Corpus, order: Order) -> set[str]:
    categories = _ordered(corpus, order)
    return {sound for sounds in categories for sound in sounds[len(sounds) // 2 :]}


def _people(corpus: Corpus, sounds: Collection[str]) -> set[str]:
    """Return who imitates some sounds, as far as that is known."""
    return {each.participant for each in corpus.imitations if each.sound_id in sounds} - {""}


def _divided(
    corpus: Corpus, name: str, tested: Collection[str], order: Order, share: float = 0.7
) -> Split:
    """Return the split whose test sounds are ``tested``, its ids in the corpus's order."""
    tests = [sound for sound in corpus.sounds if sound.id in tested]
    develops = [sound for sound in corpus.sounds if sound.id not in tested]
    _check_rankable(corpus, "development", develops)
    _check_rankable(corpus, "test", tests)
    of_sound: dict[str, list[str]] = {sound.id: [] for sound in corpus.sounds}
    for imitation in corpus.imitations:
        of_sound[imitation.sound_id].append(imitation.id)
    train: list[str] = []
    validation: list[str] = []
    for sound in develops:
        imitations = sorted(of_sound[sound.id], key=order)
        count = max(1, int(len(imitations) * share + 1e-9))
        train += sorted(imitations[:count])
        validation += sorted(imitations[count:])
    return Split(
        name,
        corpus.name,
        development_sounds=tuple(sound.id for sound in develops),
        test_sounds=tuple(sound.id for sound in tests),
        train_imitations=tuple(train),
        validation_imitations=tuple(validation),
        test_imitations=tuple(chain.from_iterable(of_sound[sound.id] for sound in tests)),
    )


def _tested(ids: list[str], fold: int, folds: int) -> list[str]:
    """Return those ids, in an order, that a fold tests."""
    if folds < 2 or not 1 <= fold <= folds:
        raise ConfigError(f"Fold {fold} of {folds} does not exist: choose 1 to N of at least 2.")
    return ids[fold - 1 :: folds]


def _drawn_order(seed: int) -> Order:
    """Return a sort key that shuffles: the same on every machine and version, and for any id."""
    return lambda identity: hashlib.sha256(f"{seed}/{identity}".encode()).hexdigest()
