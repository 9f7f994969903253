"""The ways to divide a corpus into sounds and imitations that train, validate and test."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from itertools import chain
from pathlib import Path

from vocalsketch.datasets.manifest import Split, check_rankable, read_manifest, write_manifest
from vocalsketch.datasets.records import Corpus, Sound
from vocalsketch.errors import ConfigError

__all__ = [
    "Split",
    "fold_split",
    "make_split",
    "paper_split",
    "random_split",
    "read_manifest",
    "write_manifest",
]


def paper_split(corpus: Corpus) -> Split:
    """Divide as the paper does (section V-A), confirmed by the authors' released arrays.

    Within each category sorted by file name, the first half of the sounds develops and the second
    tests. Of a development sound's imitations, sorted by file name, the first seven in ten,
    rounded down (7 of 10 and of 11), train and the others validate.
    """
    return _halved(corpus, "paper", lambda identity: identity)


def random_split(corpus: Corpus, seed: int) -> Split:
    """Divide as ``paper_split`` does, in an order drawn from the seed instead of by file name."""
    return _halved(corpus, f"random(seed={seed})", _drawn_order(seed))


def fold_split(corpus: Corpus, folds: int, fold: int, seed: int) -> Split:
    """Return one of ``folds`` divisions; over all of them each sound tests once.

    Args:
        corpus: What to divide, within each category.
        folds: How many folds, at least 2.
        fold: Which fold tests, from 1.
        seed: What the order of sounds and imitations is drawn from.

    Raises:
        ConfigError: There is no such fold.
        DatasetError: The fold, or the rest, would hold fewer than two sounds of a category.
    """
    if folds < 2 or not 1 <= fold <= folds:
        raise ConfigError(f"Fold {fold} of {folds} does not exist: choose 1 to N of at least 2.")
    order = _drawn_order(seed)
    tested = [
        sound.id
        for sounds in _ordered_categories(corpus, order)
        for sound in sounds[fold - 1 :: folds]
    ]
    return _divided(corpus, f"fold {fold} of {folds} (seed={seed})", tested, order)


def make_split(corpus: Corpus, spec: str | Path, seed: int = 0) -> Split:
    """Return the split that ``spec`` describes, checked against the corpus.

    Args:
        corpus: What to divide.
        spec: ``paper``, ``random``, ``fold K/N`` (such as ``fold 2/5``), or the path of a manifest.
        seed: For ``random`` and ``fold``.

    Raises:
        ConfigError: ``spec`` is none of these.
        DatasetError: The corpus cannot be divided so.
    """
    if spec == "paper":
        return paper_split(corpus)
    if spec == "random":
        return random_split(corpus, seed)
    fold = re.fullmatch(r"fold (\d+)/(\d+)", str(spec))
    if fold:
        return fold_split(corpus, folds=int(fold[2]), fold=int(fold[1]), seed=seed)
    if not Path(spec).is_file():
        raise ConfigError(
            f"split: {str(spec)!r} is neither 'paper', 'random' nor 'fold K/N', "
            "and no manifest lies there."
        )
    split = read_manifest(Path(spec))
    split.check(corpus)
    return split


def _halved(corpus: Corpus, name: str, order: Callable[[str], str]) -> Split:
    tested = [
        sound.id
        for sounds in _ordered_categories(corpus, order)
        for sound in sounds[len(sounds) // 2 :]
    ]
    return _divided(corpus, name, tested, order)


def _ordered_categories(corpus: Corpus, order: Callable[[str], str]) -> list[list[Sound]]:
    categories = defaultdict(list)
    for sound in sorted(corpus.sounds, key=lambda sound: order(sound.id)):
        categories[sound.category].append(sound)
    return list(categories.values())


def _divided(
    corpus: Corpus, name: str, tested: Collection[str], order: Callable[[str], str]
) -> Split:
    """Return the split whose test sounds are ``tested``, its ids in the corpus's order."""
    tests = [sound for sound in corpus.sounds if sound.id in tested]
    develops = [sound for sound in corpus.sounds if sound.id not in tested]
    check_rankable(corpus, "development", develops)
    check_rankable(corpus, "test", tests)
    of_sound: dict[str, list[str]] = {sound.id: [] for sound in corpus.sounds}
    for imitation in corpus.imitations:
        of_sound[imitation.sound_id].append(imitation.id)
    shares = [_seven_in_ten(sorted(of_sound[sound.id], key=order)) for sound in develops]
    return Split(
        name,
        corpus.name,
        development_sounds=tuple(sound.id for sound in develops),
        test_sounds=tuple(sound.id for sound in tests),
        train_imitations=tuple(chain.from_iterable(train for train, _ in shares)),
        validation_imitations=tuple(chain.from_iterable(rest for _, rest in shares)),
        test_imitations=tuple(chain.from_iterable(of_sound[sound.id] for sound in tests)),
    )


def _seven_in_ten(imitations: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return those that train, at least one, and those that validate, both sorted."""
    count = max(1, len(imitations) * 7 // 10)
    return sorted(imitations[:count]), sorted(imitations[count:])


def _drawn_order(seed: int) -> Callable[[str], str]:
    """Return a sort key that shuffles: the same on every machine and version, and for any id."""
    return lambda identity: hashlib.sha256(f"{seed}/{identity}".encode()).hexdigest()
