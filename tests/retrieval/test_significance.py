"""Tests of differences, against scipy and by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import bootstrap, ttest_ind

from vocalsketch.retrieval.results import (
    Sample,
    holm,
    paired_bootstrap,
    resampled_means,
    welch,
)


def test_welch_agrees_with_scipy_on_samples_of_different_size_and_spread():
    random = np.random.default_rng(0)
    one, other = random.normal(0.40, 0.03, 10), random.normal(0.38, 0.005, 7)
    expected = ttest_ind(one, other, equal_var=False)
    found = welch(Sample.of(one.tolist()), Sample.of(other.tolist()))
    assert found.statistic == pytest.approx(expected.statistic, rel=1e-9)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-9)
    assert found.difference == pytest.approx(one.mean() - other.mean())


def test_welch_by_hand():
    # Means 2 and 5, both variances 1 over 3 values: t = -3 / sqrt(2/3).
    found = welch(Sample.of([1.0, 2.0, 3.0]), Sample.of([4.0, 5.0, 6.0]))
    assert found.difference == -3.0
    assert found.statistic == pytest.approx(-3 / math.sqrt(2 / 3))


@pytest.mark.parametrize(("first", "second"), [([0.5], [0.2, 0.3]), ([0.1] * 3, [0.35] * 3)])
def test_what_cannot_be_tested_has_a_difference_but_no_p(first, second):
    found = welch(Sample.of(first), Sample.of(second))
    assert math.isnan(found.p)
    assert abs(found.difference) == pytest.approx(0.25)


def test_a_system_that_never_varies_can_be_tested_against_one_that_does():
    assert welch(Sample.of([0.5, 0.5, 0.5]), Sample.of([0.1, 0.2, 0.15])).p < 0.01


def test_a_sample_by_hand():
    found = Sample.of([0.2, 0.4, 0.6])
    assert (found.mean, found.std, found.count) == (pytest.approx(0.4), pytest.approx(0.2), 3)
    assert math.isnan(Sample.of([0.3]).std)


def test_holm_by_hand():
    # Sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1: 0.02, 0.03, 0.06, 0.04 -> 0.06.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_stops_at_one_and_leaves_nan_out():
    corrected = holm([0.6, math.nan, 0.7])
    assert corrected[0] == corrected[2] == 1.0
    assert math.isnan(corrected[1])
    assert holm([0.03, math.nan])[0] == 0.03
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_lies_between_the_p_value_and_bonferroni_and_keeps_order(p_values):
    corrected = holm(p_values)
    for p, c in zip(p_values, corrected, strict=True):
        assert p <= c <= min(1.0, p * len(p_values)) + 1e-15
    by_p = [c for _, c in sorted(zip(p_values, corrected, strict=True))]
    assert by_p == sorted(by_p)


def test_bootstrap_agrees_with_scipy():
    random = np.random.default_rng(3)
    first, second = random.random(200), random.random(200) * 0.8
    found = paired_bootstrap(first, second, np.random.default_rng(0))
    expected = bootstrap(
        (first - second,), np.mean, method="percentile", n_resamples=9999, rng=1
    ).confidence_interval
    assert found.difference == pytest.approx((first - second).mean())
    assert found.low == pytest.approx(expected.low, abs=0.003)
    assert found.high == pytest.approx(expected.high, abs=0.003)


def test_bootstrap_pairs_the_queries():
    # Reciprocal ranks vary much from query to query, their difference not at all.
    first = np.linspace(0.2, 1.0, 50)
    found = paired_bootstrap(first, first - 0.1, np.random.default_rng(0), resamples=200)
    assert (found.low, found.high) == pytest.approx((0.1, 0.1))


def test_bootstrap_repeats_with_its_seed():
    random = np.random.default_rng(3)
    first, second = random.random(30), random.random(30)
    runs = [
        paired_bootstrap(first, second, np.random.default_rng(seed), resamples=100)
        for seed in (5, 5, 6)
    ]
    assert runs[0] == runs[1] != runs[2]


@pytest.mark.parametrize("shapes", [((3,), (4,)), ((0,), (0,)), ((2, 2), (2, 2))])
def test_bootstrap_refuses_other_queries(shapes):
    with pytest.raises(ValueError, match="the same queries"):
        paired_bootstrap(np.zeros(shapes[0]), np.zeros(shapes[1]), np.random.default_rng(0))


def test_resampled_means_over_queries_agree_with_scipy():
    values = np.random.default_rng(3).random(100)
    draws = resampled_means(values[:, None], np.arange(100), np.random.default_rng(0), 4000)
    expected = bootstrap(
        (values,), np.mean, method="percentile", n_resamples=4000, rng=1
    ).confidence_interval
    assert np.quantile(draws, [0.025, 0.975]) == pytest.approx(list(expected), abs=0.005)


def test_queries_of_a_target_are_drawn_together():
    # two targets, all or nothing: a set holds none, one or two of the good one
    values, targets = np.array([[1.0], [1.0], [1.0], [0.0]]), np.array([0, 0, 0, 1])
    draws = resampled_means(values, targets, np.random.default_rng(0), 1000)
    assert sorted(set(draws.ravel())) == [0.0, 0.75, 1.0]
    assert np.mean(draws == 0.75) == pytest.approx(0.5, abs=0.05)
