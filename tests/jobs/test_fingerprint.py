"""What makes another run, and what another corpus."""

import shutil

import numpy as np
import pytest
import soundfile

from vocalsketch.datasets.open import open_corpus
from vocalsketch.jobs import job as module
from vocalsketch.jobs.job import corpus_fingerprint, fingerprint


def test_a_corpus_that_is_moved_is_the_same_and_one_changed_sample_makes_another(
    folder_corpus, tmp_path
):
    first = corpus_fingerprint(open_corpus(folder_corpus))
    moved = shutil.copytree(folder_corpus, tmp_path / "moved")
    assert corpus_fingerprint(open_corpus(moved)) == first
    path = next(moved.glob("imitations/*/*.wav"))
    samples, rate = soundfile.read(path)
    samples[100] = -samples[100] + 0.1
    soundfile.write(path, samples, rate)
    assert corpus_fingerprint(open_corpus(moved)) != first


def test_an_imitation_of_another_sound_makes_another_corpus(folder_corpus, tmp_path):
    moved = shutil.copytree(folder_corpus, tmp_path / "moved")
    first = corpus_fingerprint(open_corpus(moved))
    one, other = moved / "imitations" / "bells0", moved / "imitations" / "bells1"
    one.rename(tmp_path / "aside")
    other.rename(one)
    (tmp_path / "aside").rename(other)
    assert corpus_fingerprint(open_corpus(moved)) != first


def test_unreadable_audio_counts_by_name(folder_corpus, tmp_path):
    moved = shutil.copytree(folder_corpus, tmp_path / "moved")
    corpus = open_corpus(moved)
    corpus.sounds[0].path.unlink()
    assert corpus_fingerprint(corpus) != corpus_fingerprint(open_corpus(folder_corpus))
    assert np.unique([corpus_fingerprint(corpus) for _ in range(2)]).size == 1


RUN = {"config": {"lr": 0.1}, "seed": 0, "corpus": "abc", "split": "def", "needs": ["ghi"]}


@pytest.mark.parametrize(
    "change",
    [
        {"config": {"lr": 0.2}},
        {"seed": 1},
        {"corpus": "abd"},
        {"split": "deg"},
        {"needs": []},
    ],
    ids=lambda change: next(iter(change)),
)
def test_all_that_a_result_depends_on_makes_another_run(change):
    assert fingerprint(**RUN) == fingerprint(**RUN)
    assert fingerprint(**{**RUN, **change}) != fingerprint(**RUN)


def test_the_order_of_keys_makes_no_other_run():
    one, other = {"a": 1, "b": 2}, {"b": 2, "a": 1}
    assert fingerprint(**{**RUN, "config": one}) == fingerprint(**{**RUN, "config": other})


@pytest.mark.parametrize("package", ["vocalsketch", "torch"])
def test_other_software_makes_another_run(package, monkeypatch):
    before = fingerprint(**RUN)
    if package == "vocalsketch":
        monkeypatch.setattr("vocalsketch.__version__", "999")
    else:
        monkeypatch.setattr(module, "version", lambda name: "999")
    assert fingerprint(**RUN) != before
