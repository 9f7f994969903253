"""The ways to divide a corpus into sounds and imitations that train, validate and test."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import replace
from itertools import chain
from pathlib import Path

from vocalsketch.datasets.manifest import Split, check_rankable, read_manifest
from vocalsketch.datasets.records import Corpus, named
from vocalsketch.errors import ConfigError, DatasetError

# What a published protocol trains on and what it tests
PROTOCOLS = {
    "qvim": ("vimsketch", "qvim-dev"),
    "qbv_fine": ("vocalsketch", "vocal-imitation-set"),
}
COARSE_FOLDS = 10  # Greif et al., DCASE 2024, section 4
_NINE_IN_TEN = 0.9  # of a sound's imitations train


def paper_split(corpus: Corpus) -> Split:
    """Divide as the paper does (section V-A), confirmed by the authors' released arrays.

    Within each category sorted by file name, the first half of the sounds develops and the second
    tests. Of a development sound's imitations, sorted by file name, the first seven in ten,
    rounded down (7 of 10 and of 11), train and the others validate.
    """
    return _divided(corpus, "paper", _tested(corpus, str, _second_half), str)


def random_split(corpus: Corpus, seed: int) -> Split:
    """Divide as ``paper_split`` does, in an order drawn from the seed instead of by file name."""
    order = _drawn_order(seed)
    return _divided(corpus, f"random(seed={seed})", _tested(corpus, order, _second_half), order)


def fold_split(corpus: Corpus, folds: int, fold: int, seed: int) -> Split:
    """Return one of ``folds`` divisions; over all of them each sound tests once.

    ``fold`` counts from 1; the order of sounds and imitations is drawn from the seed.

    Raises:
        ConfigError: There is no such fold.
        DatasetError: The fold, or the rest, would hold fewer than two sounds of a category.
    """
    _check_fold(fold, folds)
    order = _drawn_order(seed)
    tested = _tested(corpus, order, lambda sounds: sounds[fold - 1 :: folds])
    return _divided(corpus, f"fold {fold} of {folds} (seed={seed})", tested, order)


def coarse_split(corpus: Corpus, fold: int, folds: int = COARSE_FOLDS) -> Split:
    """Return one of ten folds over concepts; every sound of a concept stands on one side.

    A concept is a sound's first class, or the sound itself where no classes are known. The folds do
    not depend on a seed. Where participants are known, those who test do not train.

    Raises:
        ConfigError: There is no such fold.
        DatasetError: The fold, or the rest, cannot be ranked, or nobody is left to train on.
    """
    _check_fold(fold, folds)
    order = _drawn_order(0)
    concept = {sound.id: (sound.classes or (sound.id,))[0] for sound in corpus.sounds}
    concepts = sorted(set(concept.values()), key=order)
    tests = set(concepts[fold - 1 :: folds])
    tested = {sound.id for sound in corpus.sounds if concept[sound.id] in tests}
    people = _people(corpus, tested)
    kept = tuple(
        each
        for each in corpus.imitations
        if each.sound_id in tested or each.participant not in people
    )
    name = f"qbv_coarse {fold} of {folds}"
    return _divided(replace(corpus, imitations=kept), name, tested, order, _NINE_IN_TEN)


def corpora_split(corpus: Corpus, name: str = "corpora") -> Split:
    """Return the split of two joined corpora: the first develops, the second tests.

    Raises:
        ConfigError: The corpus is not two joined ones.
        DatasetError: They are not the protocol's, or a participant stands in both.
    """
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


def make_split(corpus: Corpus, spec: str | Path, seed: int = 0) -> Split:
    """Return the split that ``spec`` describes, checked against the corpus.

    ``paper``, ``random``, ``fold K/N``, ``qbv_coarse K`` (or ``K/N``), or the path of a manifest;
    of two joined corpora ``qvim``, ``qbv_fine`` or ``corpora``. The seed is for ``random`` and
    ``fold``.

    Raises:
        ConfigError: ``spec`` is none of these.
        DatasetError: The corpus cannot be divided so.
    """
    if spec in (*PROTOCOLS, "corpora"):
        return corpora_split(corpus, str(spec))
    numbers = re.fullmatch(r"(fold|qbv_coarse) (\d+)(?:/(\d+))?", str(spec))
    how, fold, folds = numbers.groups() if numbers else ("", 0, None)
    if how == "qbv_coarse":
        return coarse_split(corpus, int(fold), int(folds or COARSE_FOLDS))
    if corpus.held_out and not Path(spec).is_file():
        raise ConfigError(f"split: {spec} divides one corpus: two are divided by 'corpora'.")
    if spec == "paper":
        return paper_split(corpus)
    if spec == "random":
        return random_split(corpus, seed)
    if how == "fold" and folds:
        return fold_split(corpus, folds=int(folds), fold=int(fold), seed=seed)
    if not Path(spec).is_file():
        raise ConfigError(
            f"split: {str(spec)!r} is neither 'paper', 'random' nor 'fold K/N', "
            "'qbv_coarse K', 'qvim', 'qbv_fine' nor 'corpora', and no manifest lies there."
        )
    split = read_manifest(Path(spec))
    split.check(corpus)
    return split


def _tested(
    corpus: Corpus, order: Callable[[str], str], part: Callable[[list[str]], list[str]]
) -> set[str]:
    """Return a part of each category's sounds, in an order."""
    categories = defaultdict(list)
    for sound in sorted(corpus.sounds, key=lambda sound: order(sound.id)):
        categories[sound.category].append(sound.id)
    return set(chain.from_iterable(map(part, categories.values())))


def _second_half(sounds: list[str]) -> list[str]:
    return sounds[len(sounds) // 2 :]


def _people(corpus: Corpus, sounds: Collection[str]) -> set[str]:
    """Return who imitates some sounds, as far as that is known."""
    return {each.participant for each in corpus.imitations if each.sound_id in sounds} - {""}


def _divided(
    corpus: Corpus,
    name: str,
    tested: Collection[str],
    order: Callable[[str], str],
    share: float = 0.7,
) -> Split:
    """Return the split whose test sounds are ``tested``, its ids in the corpus's order."""
    tests = [sound for sound in corpus.sounds if sound.id in tested]
    develops = [sound for sound in corpus.sounds if sound.id not in tested]
    check_rankable(corpus, "development", develops)
    check_rankable(corpus, "test", tests)
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


def _check_fold(fold: int, folds: int) -> None:
    if folds < 2 or not 1 <= fold <= folds:
        raise ConfigError(f"Fold {fold} of {folds} does not exist: choose 1 to N of at least 2.")


def _drawn_order(seed: int) -> Callable[[str], str]:
    """Return a sort key that shuffles: the same on every machine and version, and for any id."""
    return lambda identity: hashlib.sha256(f"{seed}/{identity}".encode()).hexdigest()
