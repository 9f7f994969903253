"""Ranks and mean reciprocal ranks."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torchmetrics.retrieval import RetrievalMRR

from vocalsketch.errors import VocalSketchError
from vocalsketch.retrieval.scores import (
    chance_mrr,
    mean_reciprocal_rank,
    mid_ranks,
)

# Few distinct values, so that ties are common.
SCORES = arrays.arrays(
    np.float64,
    st.tuples(st.integers(1, 6), st.integers(1, 8)),
    elements=st.integers(-3, 3).map(float),
)


@st.composite
def ranked(draw):
    scores = draw(SCORES)
    queries, candidates = scores.shape
    targets = draw(arrays.arrays(np.int64, queries, elements=st.integers(0, candidates - 1)))
    return scores, targets


@pytest.mark.parametrize(
    ("row", "target", "rank"),
    [
        ([0.9, 0.5, 0.1], 0, 1.0),
        ([0.9, 0.5, 0.1], 1, 2.0),
        ([0.9, 0.5, 0.1], 2, 3.0),
        ([0.5, 0.5, 0.1], 0, 1.5),
        ([0.5, 0.5, 0.1], 1, 1.5),
        ([0.0, 0.0, 0.0, 0.0], 3, 2.5),
        ([7.0, 0.0, 0.0, 0.0], 2, 3.0),
        ([-np.inf, -5.0, -np.inf], 0, 2.5),
        ([4.0], 0, 1.0),
    ],
)
def test_rank_of_one_query(row, target, rank):
    assert mid_ranks(np.array([row]), np.array([target])).tolist() == [rank]


@given(ranked())
def test_every_candidates_rank_together_sums_as_without_ties(case):
    scores, _ = case
    queries, candidates = scores.shape
    total = sum(mid_ranks(scores, np.full(queries, n)) for n in range(candidates))
    assert total.tolist() == [candidates * (candidates + 1) / 2] * queries


@given(ranked(), st.randoms(use_true_random=False))
def test_the_order_of_candidates_does_not_matter(case, random):
    scores, targets = case
    order = np.array(random.sample(range(scores.shape[1]), scores.shape[1]))
    moved = mid_ranks(scores[:, order], np.argsort(order)[targets])
    np.testing.assert_array_equal(moved, mid_ranks(scores, targets))


@given(ranked())
def test_a_monotone_transform_does_not_matter(case):
    scores, targets = case
    np.testing.assert_array_equal(
        mid_ranks(np.exp(scores) - 7, targets), mid_ranks(scores, targets)
    )


@given(ranked(), st.lists(st.floats(-1e6, 1e6), min_size=7, max_size=7, unique=True))
def test_no_rising_transform_matters_whatever_it_is(case, levels):
    scores, targets = case
    risen = np.array(sorted(levels))[scores.astype(int) + 3]  # the scores are whole, -3 to 3
    np.testing.assert_array_equal(mid_ranks(risen, targets), mid_ranks(scores, targets))


@given(ranked(), st.randoms(use_true_random=False))
def test_a_query_is_ranked_alone_as_among_any_others(case, random):
    scores, targets = case
    order = random.sample(range(len(scores)), len(scores))
    ranks = mid_ranks(scores, targets)
    np.testing.assert_array_equal(mid_ranks(scores[order], targets[order]), ranks[order])
    alone = [mid_ranks(scores[[row]], targets[[row]])[0] for row in range(len(scores))]
    np.testing.assert_array_equal(alone, ranks)


@given(ranked())
def test_candidates_that_score_alike_share_the_mean_of_their_places(case):
    scores, targets = case
    for row, target, rank in zip(scores, targets, mid_ranks(scores, targets), strict=True):
        tied = np.flatnonzero(row == row[target])
        shared = {mid_ranks(row[None], np.array([each]))[0] for each in tied}
        assert shared == {rank}
        places = np.flatnonzero(np.sort(row)[::-1] == row[target]) + 1
        assert rank == places.mean()


@given(ranked(), st.integers(1, 5))
def test_candidates_that_score_worse_than_all_change_no_rank(case, more):
    scores, targets = case
    worse = np.pad(scores, ((0, 0), (0, more)), constant_values=-99.0)
    np.testing.assert_array_equal(mid_ranks(worse, targets), mid_ranks(scores, targets))


@given(ranked())
def test_reversed_scores_reverse_the_ranks(case):
    scores, targets = case
    reversed_ranks = scores.shape[1] + 1 - mid_ranks(scores, targets)
    np.testing.assert_array_equal(mid_ranks(-scores, targets), reversed_ranks)


def test_agrees_with_torchmetrics_on_positive_scores_without_ties():
    random = np.random.default_rng(0)
    scores = random.permuted(np.tile(np.arange(1, 21) / 21, (50, 1)), axis=1)
    targets = random.integers(0, 20, 50)
    metric = RetrievalMRR()
    metric.update(
        torch.from_numpy(scores).flatten(),
        torch.nn.functional.one_hot(torch.from_numpy(targets), 20).flatten(),
        indexes=torch.arange(50).repeat_interleave(20),
    )
    assert mean_reciprocal_rank(scores, targets) == pytest.approx(float(metric.compute()), abs=1e-6)


def test_negative_scores_rank_as_any_others():
    # torchmetrics counts a target that scores 0 or less as not retrieved.
    assert mean_reciprocal_rank(np.array([[-2.0, -1.0, -3.0]]), np.array([0])) == 0.5


def test_mean_is_over_queries():
    scores = np.array([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0], [3.0, 3.0, 1.0]])
    targets = np.array([0, 1, 0])
    np.testing.assert_allclose(1 / mid_ranks(scores, targets), [1, 1 / 2, 2 / 3])
    assert mean_reciprocal_rank(scores, targets) == pytest.approx((1 + 1 / 2 + 2 / 3) / 3)


@pytest.mark.parametrize(
    ("candidates", "chance"), [(1, 1.0), (2, 0.75), (12, 0.259), (20, 0.180), (60, 0.078)]
)
def test_chance(candidates, chance):
    assert chance_mrr(candidates) == pytest.approx(chance, abs=5e-4)


def test_random_scores_reach_chance():
    random = np.random.default_rng(1)
    scores = random.random((20_000, 12))
    reached = mean_reciprocal_rank(scores, random.integers(0, 12, 20_000))
    assert reached == pytest.approx(chance_mrr(12), abs=0.01)


def test_nan_scores_are_refused_and_counted():
    scores = np.array([[1.0, np.nan], [np.nan, 2.0]])
    with pytest.raises(VocalSketchError, match="2 of 4 scores are NaN"):
        mid_ranks(scores, np.array([0, 1]))


def test_no_query_is_refused():
    with pytest.raises(VocalSketchError, match="No query to rank"):
        mean_reciprocal_rank(np.empty((0, 5)), np.empty(0, dtype=np.int64))


@pytest.mark.parametrize(
    ("scores", "targets", "message"),
    [
        (np.zeros(3), np.array([0]), r"got \(3,\) and \(1,\)"),
        (np.zeros((2, 3)), np.array([0]), r"got \(2, 3\) and \(1,\)"),
        (np.zeros((1, 3)), np.array([3]), "target 3 is not among 3 candidates"),
        (np.zeros((1, 3)), np.array([-1]), "target -1 is not among 3 candidates"),
    ],
)
def test_misfits_are_refused(scores, targets, message):
    with pytest.raises(ValueError, match=message):
        mid_ranks(scores, targets)
