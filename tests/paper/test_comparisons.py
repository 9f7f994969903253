"""Tests of systems against each other."""

import pytest

from vocalsketch.paper.claims import comparisons
from vocalsketch.paper.measured import Measured
from vocalsketch.retrieval.results import holm, welch


@pytest.fixture
def made_up(ranked):
    def runs(*by_seed):
        return {
            seed: ranked({"bells": ranks, "dogs": ranks[::-1]})
            for seed, ranks in enumerate(by_seed)
        }

    return Measured(
        {
            "tl_none": runs([4, 4, 3], [4, 3, 3], [3, 4, 4]),
            "tl_conv1": runs([1, 2, 2], [1, 1, 2], [2, 1, 1]),
            "tl_conv12": runs([2, 2, 3], [4, 3, 2], [3, 3, 2]),
        }
    )


def test_only_what_was_run_is_compared(made_up):
    found = comparisons(made_up)
    assert set(found["group"]) == {"Pre-training against none"}
    assert found[["first", "second", "category"]].to_numpy().tolist() == [
        ["tl_conv1", "tl_none", "bells"],
        ["tl_conv1", "tl_none", "dogs"],
        ["tl_conv12", "tl_none", "bells"],
        ["tl_conv12", "tl_none", "dogs"],
    ]


def test_tests_are_over_seeds_and_corrected_within_their_group(made_up):
    found = comparisons(made_up)
    expected = [
        welch(made_up.sample(each.first, each.category), made_up.sample(each.second, each.category))
        for each in found.itertuples()
    ]
    assert found["p"].tolist() == [test.p for test in expected]
    assert found["t"].tolist() == [test.statistic for test in expected]
    assert found["p_holm"].tolist() == holm([test.p for test in expected])


def test_intervals_are_over_queries_and_the_same_each_time(made_up):
    found = comparisons(made_up)
    assert (found["bootstrap_low"] <= found["difference"]).all()
    assert (found["difference"] <= found["bootstrap_high"]).all()
    assert comparisons(made_up).equals(found)


def test_one_seed_has_a_difference_and_no_test(ranked):
    measured = Measured(
        {
            "iminet_tied": {0: ranked({"bells": [1, 2]})},
            "imisound": {0: ranked({"bells": [2, 2]})},
        }
    )
    only = comparisons(measured)
    assert only["difference"].tolist() == [pytest.approx(0.25)]
    assert only[["p", "p_holm"]].isna().all(axis=None)


def test_what_is_not_the_papers_is_tested_against_its_two_main_systems(ranked):
    measured = Measured(
        {key: {0: ranked({"bells": [1]})} for key in ("tl_conv123", "iminet_tied", "mine")}
        | {"contours": {0: ranked({"bells": [2]}, kind="similarity")}}
    )
    pairs = comparisons(measured)[["first", "second"]].to_numpy().tolist()
    assert pairs == [
        ["mine", "tl_conv123"],
        ["contours", "tl_conv123"],
        ["mine", "iminet_tied"],
        ["contours", "iminet_tied"],
    ]
