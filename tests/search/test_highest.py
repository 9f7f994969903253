"""The best of many scores."""

from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vocalsketch.search import best
from vocalsketch.search.best import best_first, highest


@given(arrays(np.float32, st.integers(0, 60), elements=st.integers(-3, 3)), st.integers(1, 70))
def test_the_highest_come_first_and_equal_ones_in_their_order(
    scores: np.ndarray, count: int
) -> None:
    expected = np.argsort(-scores, kind="stable")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(best, "BLOCK", 4)
        np.testing.assert_array_equal(highest(scores, count), expected[:count])
        assert list(best_first(scores, count)) == expected.tolist()


def test_of_a_million_scores_the_ten_highest_are_found() -> None:
    scores = np.random.default_rng(0).permutation(1_000_003).astype(np.float32)
    found = list(islice(best_first(scores, 10), 10))
    assert scores[found].tolist() == [1_000_002.0 - place for place in range(10)]
