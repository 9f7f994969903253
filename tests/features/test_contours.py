"""The yardstick without learning, by hand and on the demo's own sounds and imitations."""

import numpy as np
import pytest
from scipy.signal import resample_poly

from vocalsketch.datasets.synthetic import sounds
from vocalsketch.features.contours import FAMILIES, contour_features, contour_scores
from vocalsketch.voice import listening
from vocalsketch.voice.people import imitation, person

LENGTH = sum(FAMILIES)


def sine(frequency: float, rate: int, seconds: float = 1.0) -> np.ndarray:
    return np.sin(2.0 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


def test_parts_of_the_vector_are_in_order() -> None:
    vector = contour_features(sine(440.0, 16_000), 16_000)
    loudness, pitch, periodicity, brightness = vector[:80].reshape(4, 20)

    assert vector.shape == (161,)
    assert np.median(loudness) == pytest.approx(0.0, abs=0.1)
    assert np.median(pitch) == pytest.approx(3.0, abs=0.02)  # 440 Hz is 3 octaves above 55 Hz
    assert np.median(periodicity) > 0.95
    assert np.median(brightness) == pytest.approx(3.0, abs=0.05)
    assert vector[160] == pytest.approx(0.0, abs=0.05)  # log of 1 s


def test_sample_rate_hardly_matters() -> None:
    low = contour_features(sine(440.0, 16_000), 16_000)
    high = contour_features(sine(440.0, 44_100), 44_100)

    assert np.abs(low[:80] - high[:80]).max() < 0.5


def test_silence_around_a_clip_does_not_matter() -> None:
    clip = sine(300.0, 16_000) * np.linspace(0.2, 1.0, 16_000)
    padded = np.concatenate([np.zeros(8_000), clip, np.zeros(4_800)])

    bare, surrounded = contour_features(clip, 16_000), contour_features(padded, 16_000)
    inner = [*range(1, 19), *range(21, 39)]  # of loudness and pitch: the ends may be cut otherwise
    assert np.abs(bare - surrounded)[inner].max() < 1.0
    assert surrounded[160] == pytest.approx(bare[160], abs=0.05)


@pytest.mark.parametrize("samples", [0, 1, 100, 16_000])
def test_silence_and_the_shortest_clips_have_finite_features(samples: int) -> None:
    vector = contour_features(np.zeros(samples), 16_000)

    assert vector.shape == (161,)
    assert np.isfinite(vector).all()


def test_scores_by_hand() -> None:
    queries, candidates = np.zeros((2, LENGTH)), np.zeros((2, LENGTH))
    queries[:, 0], candidates[:, 0] = (5.0, 9.0), (100.0, 300.0)  # loudness: -1 and 1 on each side
    queries[:, -1], candidates[:, -1] = (0.0, 2.0), (1.0, 0.0)  # duration: opposite orders

    # same loudness, other duration: 2 ** 2; the reverse: 2 ** 2 / 20 points of a contour
    assert contour_scores(queries, candidates) == pytest.approx(
        np.array([[-4.0, -0.2], [-0.2, -4.0]])
    )


def test_a_feature_without_spread_says_nothing() -> None:
    scores = contour_scores(np.ones((3, LENGTH)), np.full((4, LENGTH), 7.0))

    assert scores.shape == (3, 4)
    assert not scores.any()


def test_demo_imitations_are_neither_trivial_nor_hopeless() -> None:
    category = "everyday"
    names = sorted(sounds.CATALOGUE[category])[12:]
    candidates, queries = [], []
    for target, name in enumerate(names):
        recording = sounds.recording(category, name)
        candidates.append(contour_features(recording, 44_100))
        heard = listening.heard(resample_poly(recording, 160, 441))
        someone = person(target, sounds.generator("person", str(target)))
        sung = imitation(someone, heard, sounds.generator("imitation", name, str(target)))
        queries.append(contour_features(sung, 16_000))

    scores = contour_scores(np.array(queries), np.array(candidates))
    reciprocal_ranks = 1.0 / (1 + (scores > np.diag(scores)[:, None]).sum(axis=1))

    chance = np.mean(1.0 / np.arange(1, 13))
    assert 1.5 < reciprocal_ranks.mean() / chance < 3.8
