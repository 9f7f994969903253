"""Runs of a measured and the fusions made of them."""

import numpy as np
import pytest

from vocalsketch.errors import ConfigError
from vocalsketch.paper.measured import Measured, with_fusions
from vocalsketch.retrieval.scores import CategoryScores, Scores, fuse


def test_mean_and_spread_are_over_seeds_and_per_query_means_too(ranked):
    measured = Measured(
        {"iminet_tied": {0: ranked({"bells": [1, 2]}), 1: ranked({"bells": [4, 4]})}}
    )
    sample = measured.sample("iminet_tied", "bells")
    assert sample.mean == pytest.approx((0.75 + 0.25) / 2)
    assert sample.std == pytest.approx(0.5 / 2**0.5)
    assert sample.count == 2
    np.testing.assert_allclose(measured.per_query("iminet_tied", "bells"), [0.625, 0.375])


def test_what_was_not_run_has_no_sample(ranked):
    measured = Measured({"iminet_tied": {0: ranked({"bells": [1]})}, "tl_none": {}})
    assert measured.sample("tl_none", "bells") is None
    assert measured.sample("imisound", "bells") is None
    assert measured.sample("iminet_tied", "dogs") is None


def test_the_best_row_has_the_highest_mean_over_categories(ranked):
    measured = Measured(
        {
            "iminet_tied": {0: ranked({"bells": [1], "dogs": [4]})},
            "iminet_untied": {0: ranked({"bells": [2], "dogs": [1]})},
        }
    )
    assert measured.strongest == "iminet_untied"


def test_runs_on_other_candidates_are_refused(ranked):
    one, other = ranked({"bells": [1]}), ranked({"bells": [1]}, candidates=5)
    with pytest.raises(ConfigError, match=r"candidates in bells differ.*bells_4\.wav"):
        Measured({"iminet_tied": {0: one, 1: other}})
    with pytest.raises(ConfigError, match="their split differs"):
        Measured({"iminet_tied": {0: one}, "mine": {0: ranked({"bells": [1]}, split="xyz")}})


def test_no_run_is_refused():
    with pytest.raises(ConfigError, match="No finished run"):
        _ = Measured({}).reference


def test_only_the_papers_candidates_are_comparable_with_the_paper(ranked):
    demo = Measured({"iminet_tied": {0: ranked({"everyday": [1]})}})
    small = Measured({"iminet_tied": {0: ranked({"everyday": [1]}, corpus="vocalsketch")}})
    assert not demo.comparable
    assert not small.comparable


def test_fusions_are_made_seed_by_seed_of_the_runs_there_are(ranked):
    rows = {
        "imisound": {0: ranked({"bells": [2]}, kind="cosine", system="imisound")},
        "iminet_untied": {n: ranked({"bells": [n + 1]}, system="iminet_untied") for n in (0, 1)},
        "iminet_partial": {n: ranked({"bells": [2]}, system="iminet_partial") for n in (0, 1)},
        "iminet_tied": {n: ranked({"bells": [3]}) for n in (0, 1)},
    }
    complete = with_fusions(rows)
    assert {key: sorted(found) for key, found in complete.items() if key not in rows} == {
        "iminet_fusion": [0, 1],
        "iminet_untied+imisound": [0],
        "iminet_partial+imisound": [0],
        "iminet_tied+imisound": [0],
        "iminet_fusion+imisound": [0],
    }
    assert complete["iminet_fusion"][1].system == "iminet_fusion"
    expected = fuse([rows[key][0] for key in rows])
    np.testing.assert_allclose(
        complete["iminet_fusion+imisound"][0].categories[0].scores, expected.categories[0].scores
    )
    assert set(rows) == {"imisound", "iminet_untied", "iminet_partial", "iminet_tied"}


def asked(order):
    """Query 0 and 1 ask for a, query 2 for c, nobody for b; ``order`` gives query 2's scores."""
    scores = np.array([[3.0, 2.0, 1.0], [2.0, 3.0, 1.0], order])
    only = CategoryScores(
        "bells", ("x", "y", "z"), ("a.wav", "b.wav", "c.wav"), np.array([0, 0, 2]), scores
    )
    return Scores("logit", "demo", "abc", "paper", "test", "tl_none", (only,))


def test_sounds_are_listed_hardest_first_with_their_mean_over_queries_and_seeds():
    measured = Measured({"tl_none": {0: asked([3.0, 2.0, 1.0]), 1: asked([3.0, 1.0, 2.0])}})
    assert measured.per_sound("tl_none", "bells") == [
        ("c.wav", 1, pytest.approx((1 / 3 + 1 / 2) / 2)),
        ("a.wav", 2, pytest.approx(0.75)),
    ]
