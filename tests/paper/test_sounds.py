"""Hard and easy sounds."""

import numpy as np
import pytest

from vocalsketch.paper.sounds import SoundResult, sound_results
from vocalsketch.paper.study import Study
from vocalsketch.retrieval.scores import CategoryScores, Scores


def run(order):
    """Query 0 and 1 ask for a, query 2 for c, nobody for b; ``order`` gives query 2's scores."""
    scores = np.array([[3.0, 2.0, 1.0], [2.0, 3.0, 1.0], order])
    only = CategoryScores(
        "bells", ("x", "y", "z"), ("a.wav", "b.wav", "c.wav"), np.array([0, 0, 2]), scores
    )
    return Scores("logit", "demo", "abc", "paper", "test", "tl_none", (only,))


def test_sounds_are_listed_hardest_first_with_their_mean_over_queries_and_seeds():
    study = Study({"tl_none": {0: run([3.0, 2.0, 1.0]), 1: run([3.0, 1.0, 2.0])}})
    assert sound_results(study, "tl_none", "bells") == [
        SoundResult("c.wav", 1, pytest.approx((1 / 3 + 1 / 2) / 2)),
        SoundResult("a.wav", 2, pytest.approx(0.75)),
    ]
