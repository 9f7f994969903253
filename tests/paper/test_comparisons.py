"""Tests of systems against each other."""

import math

import pytest

from vocalsketch.paper.comparisons import comparisons
from vocalsketch.paper.study import Study
from vocalsketch.retrieval.significance import holm, welch


def made_up(ranked):
    def runs(*by_seed):
        return {
            seed: ranked({"bells": ranks, "dogs": ranks[::-1]})
            for seed, ranks in enumerate(by_seed)
        }

    return Study(
        {
            "tl_none": runs([4, 4, 3], [4, 3, 3], [3, 4, 4]),
            "tl_conv1": runs([1, 2, 2], [1, 1, 2], [2, 1, 1]),
            "tl_conv12": runs([2, 2, 3], [4, 3, 2], [3, 3, 2]),
        }
    )


def test_only_what_was_run_is_compared(ranked):
    found = comparisons(made_up(ranked))
    assert list(found) == ["Pre-training against none"]
    assert [(each.first, each.second, each.category) for each in found.popitem()[1]] == [
        ("tl_conv1", "tl_none", "bells"),
        ("tl_conv1", "tl_none", "dogs"),
        ("tl_conv12", "tl_none", "bells"),
        ("tl_conv12", "tl_none", "dogs"),
    ]


def test_tests_are_over_seeds_and_corrected_within_their_group(ranked):
    study = made_up(ranked)
    (group,) = comparisons(study).values()
    expected = [
        welch(study.sample(each.first, each.category), study.sample(each.second, each.category))
        for each in group
    ]
    assert [each.test for each in group] == expected
    assert [each.holm for each in group] == holm([test.p for test in expected])


def test_intervals_are_over_queries_and_the_same_each_time(ranked):
    study = made_up(ranked)
    (group,) = comparisons(study).values()
    for each in group:
        assert each.interval.difference == pytest.approx(each.test.difference)
        assert each.interval.low <= each.interval.difference <= each.interval.high
    assert comparisons(study) == {"Pre-training against none": group}


def test_one_seed_has_a_difference_and_no_test(ranked):
    study = Study(
        {
            "iminet_tied": {0: ranked({"bells": [1, 2]})},
            "imisound": {0: ranked({"bells": [2, 2]})},
        }
    )
    ((only,),) = comparisons(study).values()
    assert only.test.difference == pytest.approx(0.25)
    assert math.isnan(only.test.p)
    assert math.isnan(only.holm)
