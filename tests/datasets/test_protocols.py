"""Published protocols: who trains and who tests, and what may not stand on two sides."""

from collections import Counter
from pathlib import Path

import published_trees as trees
import pytest

from vocalsketch.datasets.open import open_corpora, open_corpus
from vocalsketch.datasets.records import ALONE
from vocalsketch.datasets.splits import make_split, read_manifest, write_manifest
from vocalsketch.errors import ConfigError, DatasetError


def test_qvim_trains_on_vimsketch_and_tests_on_qvim_dev(tmp_path: Path) -> None:
    train, test = trees.write_vimsketch(tmp_path / "v"), trees.write_qvim(tmp_path / "q")
    corpus = open_corpora(train, test)
    split = make_split(corpus, "qvim")
    assert (split.name, split.corpus) == ("qvim", "vimsketch+qvim-dev")
    assert all(each.startswith("vimsketch/") for each in split.development_sounds)
    assert all(each.startswith("qvim-dev/") for each in split.test_sounds + split.test_imitations)
    assert len(split.train_imitations) + len(split.validation_imitations) == 24
    assert (len(split.test_sounds), len(split.test_imitations)) == (4, 8)
    write_manifest(split, tmp_path / "split.json")
    assert make_split(corpus, tmp_path / "split.json") == split
    assert read_manifest(tmp_path / "split.json").fingerprint == split.fingerprint
    with pytest.raises(ConfigError, match="set test_root to the one that tests"):
        make_split(open_corpus(train), "qvim")
    with pytest.raises(ConfigError, match="divides one corpus"):
        make_split(corpus, "paper")


def test_qbv_fine_ranks_within_the_classes_of_the_vocal_imitation_set(tmp_path: Path) -> None:
    train = trees.write_vocalsketch(tmp_path / "s")
    corpus = open_corpora(train, trees.write_vocal_imitation_set(tmp_path / "i"))
    split = make_split(corpus, "qbv_fine")
    tested = [sound for sound in corpus.sounds if sound.id in split.test_sounds]
    assert list(Counter(sound.category for sound in tested).values()) == [3, 3, 3]
    with pytest.raises(DatasetError, match="qvim trains on vimsketch and tests on qvim-dev"):
        make_split(corpus, "qvim")


def test_a_participant_on_both_sides_is_refused(tmp_path: Path) -> None:
    train = trees.write_vocalsketch(tmp_path / "s")
    table = train / "vocal_imitations.csv"
    table.write_bytes(table.read_bytes().replace(b"FALSE,v1,", b"FALSE,p1,"))
    corpus = open_corpora(train, trees.write_vocal_imitation_set(tmp_path / "i"))
    with pytest.raises(DatasetError, match="participants who train and test: p1"):
        make_split(corpus, "qbv_fine")


@pytest.mark.parametrize("other", [trees.write_vocalsketch, trees.write_vocal_imitation_set])
def test_vimsketch_beside_one_of_its_sources_is_refused(tmp_path: Path, other: object) -> None:
    whole = trees.write_vimsketch(tmp_path / "v")
    part = other(tmp_path / "part")  # type: ignore[operator]
    for pair in ((whole, part), (part, whole)):
        with pytest.raises(DatasetError, match=r"\(vimsketch\) includes "):
            open_corpora(*pair)
    with pytest.raises(DatasetError, match="share sounds"):
        open_corpora(whole, whole)


def test_over_ten_coarse_folds_each_concept_tests_once_and_as_a_whole(tmp_path: Path) -> None:
    corpus = open_corpus(trees.write_vimsketch(tmp_path, classes=10, of_each=2, imitations=2))
    kind = {sound.id: sound.classes[0] for sound in corpus.sounds}
    tested: list[str] = []
    for fold in range(1, 11):
        split = make_split(corpus, f"qbv_coarse {fold}", seed=fold)  # the seed changes nothing
        concepts = {kind[each] for each in split.test_sounds}
        assert concepts.isdisjoint({kind[each] for each in split.development_sounds})
        tested += concepts
    assert sorted(tested) == sorted(set(kind.values()))
    with pytest.raises(ConfigError, match="Fold 11 of 10 does not exist"):
        make_split(corpus, "qbv_coarse 11")


def test_sounds_of_a_class_are_relevant_and_lone_recordings_are_listed(tmp_path: Path) -> None:
    corpus = open_corpus(trees.write_vimsketch(tmp_path / "v"))
    assert [sound.classes for sound in corpus.sounds].count(corpus.sounds[0].classes) == 2
    root = trees.write_vocal_imitation_set(tmp_path / "i")
    for path in (root / "original_recordings/non_reference").glob("000*/*"):
        path.unlink()
    corpus = open_corpus(root)
    assert corpus.missing == {ALONE: ("000Human sounds_Voice, (loud) 0",)}
    assert len(corpus.imitations) == 4
