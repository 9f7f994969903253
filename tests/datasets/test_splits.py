"""Dividing a corpus: the paper's way, by chance, in folds, and by a manifest."""

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vocalsketch.datasets.records import Corpus, Imitation, Sound, Tree
from vocalsketch.datasets.splits import (
    Split,
    make_split,
    read_manifest,
    write_manifest,
)
from vocalsketch.errors import DatasetError, VocalSketchError


def corpus_from(
    root: str, name: str, sounds: Iterable[Sound], imitations: Iterable[Imitation]
) -> Corpus:
    tree = Tree(Path(root), "error")
    tree.sounds = {each.id: each for each in sounds}
    tree.imitations = {each.id: each for each in imitations}
    return tree.corpus(name)


def corpus_of(counts: Mapping[str, list[int]], name: str = "folder") -> Corpus:
    """Return a corpus whose categories have a sound for each count, with so many imitations."""
    sounds, imitations = [], []
    for category, numbers in counts.items():
        for position, number in enumerate(numbers):
            sound = Sound(f"{category}{position:03}.wav", Path("x"), category, "label")
            sounds.append(sound)
            imitations += [
                Imitation(f"{sound.id} - {index:02}.wav", Path("x"), sound.id)
                for index in range(number)
            ]
    return corpus_from("root", name, sounds, imitations)


corpora = st.dictionaries(
    st.sampled_from("abc"),
    st.lists(st.integers(2, 12), min_size=4, max_size=9),
    min_size=1,
).map(corpus_of)


def test_paper_split_takes_the_first_half_and_seven_of_ten_by_file_name() -> None:
    split = make_split(corpus_of({"b": [10, 11, 10, 10, 10], "a": [2, 2, 2, 2]}), "paper")
    assert split.development_sounds == ("a000.wav", "a001.wav", "b000.wav", "b001.wav")
    assert split.test_sounds == ("a002.wav", "a003.wav", "b002.wav", "b003.wav", "b004.wav")
    training = Counter(identity.split(" - ")[0] for identity in split.train_imitations)
    validating = Counter(identity.split(" - ")[0] for identity in split.validation_imitations)
    assert training == {"a000.wav": 1, "a001.wav": 1, "b000.wav": 7, "b001.wav": 7}
    assert validating == {"a000.wav": 1, "a001.wav": 1, "b000.wav": 3, "b001.wav": 4}
    assert [i for i in split.train_imitations if i.startswith("b000")] == [
        f"b000.wav - {index:02}.wav" for index in range(7)
    ]
    assert len(split.test_imitations) == 2 + 2 + 3 * 10


def test_paper_split_gives_the_counts_of_the_released_arrays(shared: Path) -> None:
    labels = {path.stem: np.load(path) for path in (shared / "reference/labels").glob("*.npy")}
    train = labels["imitations_train_first_half"].sum(axis=0, dtype=int)
    validation = labels["imitations_test_first_half"].sum(axis=0, dtype=int)
    development = np.split(train + validation, np.cumsum([20, 20, 60]))
    tests = [
        labels[f"imitations_second_half_{c}"].sum(axis=0, dtype=int)
        for c in ("ai", "cs", "ed", "ss")
    ]
    corpus = corpus_of(
        {
            c: [*map(int, d), *map(int, t)]
            for c, d, t in zip("abcd", development, tests, strict=True)
        }
    )
    split = make_split(corpus, "paper")
    target = {imitation.id: imitation.sound_id for imitation in corpus.imitations}

    def per_sound(imitations: tuple[str, ...], sounds: tuple[str, ...]) -> list[int]:
        counts = Counter(target[identity] for identity in imitations)
        return [counts[sound] for sound in sounds]

    assert (len(corpus.sounds), len(corpus.imitations)) == (240, 222 * 10 + 18 * 11)
    assert (len(split.train_imitations), len(split.validation_imitations)) == (840, 366)
    assert per_sound(split.train_imitations, split.development_sounds) == train.tolist()
    assert per_sound(split.validation_imitations, split.development_sounds) == validation.tolist()
    assert per_sound(split.test_imitations, split.test_sounds) == np.concatenate(tests).tolist()


@settings(max_examples=40, deadline=None)
@given(corpora, st.integers(0, 2**40))
def test_splits_place_everything_once_and_imitations_with_their_sounds(
    corpus: Corpus, seed: int
) -> None:
    target = {imitation.id: imitation.sound_id for imitation in corpus.imitations}
    for split in (
        make_split(corpus, "paper"),
        make_split(corpus, "random", seed),
        make_split(corpus, "fold 1/2", seed),
    ):
        sounds = split.development_sounds + split.test_sounds
        developing = split.train_imitations + split.validation_imitations
        assert sorted(sounds) == sorted(sound.id for sound in corpus.sounds)
        assert sorted(developing + split.test_imitations) == sorted(target)
        assert {target[identity] for identity in developing} == set(split.development_sounds)
        assert {target[identity] for identity in split.test_imitations} == set(split.test_sounds)
        assert {target[i] for i in split.train_imitations} == set(split.development_sounds)
        assert {target[i] for i in split.validation_imitations} == set(split.development_sounds)


@settings(max_examples=40, deadline=None)
@given(corpora, st.integers(0, 2**40), st.randoms(use_true_random=False))
def test_the_order_in_which_a_corpus_is_listed_does_not_matter(
    corpus: Corpus, seed: int, random: Random
) -> None:
    shuffled = corpus_from(
        "root",
        corpus.name,
        random.sample(corpus.sounds, len(corpus.sounds)),
        random.sample(corpus.imitations, len(corpus.imitations)),
    )
    # and where a reader does not sort, the sides hold the same all the same
    unsorted = dataclasses.replace(
        corpus,
        sounds=tuple(random.sample(corpus.sounds, len(corpus.sounds))),
        imitations=tuple(random.sample(corpus.imitations, len(corpus.imitations))),
    )
    for divide in (
        lambda each: make_split(each, "paper"),
        lambda each: make_split(each, "random", seed),
        lambda each: make_split(each, "fold 2/2", seed),
    ):
        assert divide(shuffled) == divide(corpus)
        assert divide(unsorted).fingerprint == divide(corpus).fingerprint


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 5), st.integers(0, 99))
def test_over_all_folds_each_sound_tests_once(folds: int, seed: int) -> None:
    corpus = corpus_of({"a": [2] * 11, "b": [3] * 10})
    splits = [make_split(corpus, f"fold {fold}/{folds}", seed) for fold in range(1, folds + 1)]
    tested = Counter(sound for split in splits for sound in split.test_sounds)
    assert tested == {sound.id: 1 for sound in corpus.sounds}


def test_a_seed_decides_and_the_drawn_order_never_changes() -> None:
    corpus = corpus_of({"a": [10] * 8})
    first = make_split(corpus, "random", 1)
    assert make_split(corpus, "random", 1) == first
    assert make_split(corpus, "random", 2).fingerprint != first.fingerprint
    # Drawn by SHA-256 of "1/<id>"; a change would silently move results between versions.
    assert first.test_sounds == ("a001.wav", "a002.wav", "a003.wav", "a004.wav")


def test_make_split_reads_its_specification(tmp_path: Path) -> None:
    corpus = corpus_of({"a": [4] * 10})
    assert make_split(corpus, "paper").name == "paper"
    assert make_split(corpus, "random", seed=3) == make_split(corpus, "random", 3)
    assert make_split(corpus, "fold 2/5", seed=1).name == "fold 2 of 5 (seed=1)"
    write_manifest(make_split(corpus, "random", 3), tmp_path / "split.json")
    assert make_split(corpus, tmp_path / "split.json") == make_split(corpus, "random", 3)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("papr", "'papr' is neither 'paper', 'random' nor 'fold K/N'"),
        ("fold 0/5", "Fold 0 of 5 does not exist"),
        ("fold 6/5", "Fold 6 of 5 does not exist"),
        ("fold 1/1", "Fold 1 of 1 does not exist"),
        ("fold 2/9", "'a' of root has 1 of its sounds on the test side"),
        ("fold 1/99", "has 1 of its sounds on the test side"),
        ("fold 99/99", "has 0 of its sounds on the test side"),
    ],
)
def test_specifications_that_cannot_be_met(spec: str, message: str) -> None:
    with pytest.raises(VocalSketchError, match=message):
        make_split(corpus_of({"a": [4] * 10}), spec)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ([9, 9, 9], "'a' of root has 1 of its sounds on the development side.* at least two"),
        ([1, 1, 1, 1], "no validation imitations: every sound needs at least two"),
    ],
)
def test_corpora_too_small_to_divide(counts: list[int], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        make_split(corpus_of({"a": counts}), "paper")


def test_manifest_keeps_the_split_and_its_fingerprint(tmp_path: Path) -> None:
    split = make_split(corpus_of({"a": [3] * 4, "\xe9": [2] * 5}), "random", 7)
    write_manifest(split, tmp_path / "split.json")
    assert read_manifest(tmp_path / "split.json") == split
    content = json.loads((tmp_path / "split.json").read_text(encoding="utf-8"))
    assert (content["format"], content["version"]) == ("vocalsketch split", 1)
    assert content["test_sounds"] == list(split.test_sounds)
    reordered = dataclasses.replace(split, name="other", test_sounds=split.test_sounds[::-1])
    assert reordered.fingerprint == split.fingerprint
    assert len(split.fingerprint) == 16


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "else"}, "is not a split manifest"),
        ({"version": 2}, "has manifest version 2, this program reads 1"),
        ({"test_sounds": None}, "test_sounds"),
        ({"train_imitations": "abc"}, "train_imitations"),
        ({"corpus": "demo"}, "divides the corpus 'demo'; root is 'folder'"),
        ({"test_sounds": ["a002.wav", "gone.wav"]}, r"names what root lacks: gone\.wav"),
        ({"test_sounds": ["a002.wav", "a000.wav"]}, r"places more than once: a000\.wav"),
        ({"test_sounds": ["a002.wav"]}, "parts imitations from their sounds: a003"),
        (
            {"test_sounds": ["a002.wav"], "test_imitations": ["a002.wav - 00.wav"]},
            "'a' of root has 1 of its sounds on the test side",
        ),
        ({"validation_imitations": ["a000.wav - 00.wav"]}, "places more than once: a000.wav - 00"),
        ({"train_imitations": ["a000.wav - 00.wav", "nobody"]}, "lacks: nobody"),
    ],
)
def test_manifests_that_do_not_fit(tmp_path: Path, change: dict[str, object], message: str) -> None:
    corpus = corpus_of({"a": [2] * 4})
    path = tmp_path / "split.json"
    write_manifest(make_split(corpus, "paper"), path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DatasetError, match=message):
        make_split(corpus, path)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"format": 1}'])
def test_other_files_are_no_manifest(tmp_path: Path, text: str) -> None:
    (tmp_path / "split.json").write_text(text)
    with pytest.raises(DatasetError, match="split manifest"):
        read_manifest(tmp_path / "split.json")


def test_an_imitation_apart_from_its_sound_is_refused() -> None:
    corpus = corpus_of({"a": [2] * 4})
    split = make_split(corpus, "paper")
    swapped: Split = dataclasses.replace(
        split,
        test_imitations=(*split.test_imitations[1:], split.train_imitations[0]),
        train_imitations=(*split.train_imitations[1:], split.test_imitations[0]),
    )
    with pytest.raises(DatasetError, match="parts imitations from their sounds"):
        swapped.check(corpus)
