"""What changes a corpus's fingerprint."""

import shutil

import numpy as np
import soundfile

from vocalsketch.datasets.open import open_corpus
from vocalsketch.paper.fingerprints import corpus_fingerprint


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
