"""The best of many scores."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vocalsketch.search import shard
from vocalsketch.search.shard import highest


@given(arrays(np.float32, st.integers(1, 60), elements=st.integers(-3, 3)), st.integers(1, 70))
def test_the_highest_are_found_with_all_that_equal_the_last(scores: np.ndarray, count: int) -> None:
    last = np.sort(scores)[::-1][min(count, len(scores)) - 1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shard, "BLOCK", 4)
        assert sorted(highest(scores, count)) == np.flatnonzero(scores >= last).tolist()


def test_of_a_million_scores_the_ten_highest_are_found() -> None:
    scores = np.random.default_rng(0).permutation(1_000_003).astype(np.float32)
    assert sorted(scores[highest(scores, 10)]) == [999_993.0 + place for place in range(10)]
