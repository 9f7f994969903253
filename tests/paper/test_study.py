"""Runs of a study and the fusions made of them."""

import numpy as np
import pytest

from vocalsketch.errors import ConfigError
from vocalsketch.paper.study import Study, with_fusions
from vocalsketch.retrieval.fusion import fuse


def test_mean_and_spread_are_over_seeds_and_per_query_means_too(ranked):
    study = Study({"iminet_tied": {0: ranked({"bells": [1, 2]}), 1: ranked({"bells": [4, 4]})}})
    sample = study.sample("iminet_tied", "bells")
    assert sample.mean == pytest.approx((0.75 + 0.25) / 2)
    assert sample.std == pytest.approx(0.5 / 2**0.5)
    assert sample.count == 2
    np.testing.assert_allclose(study.per_query("iminet_tied", "bells"), [0.625, 0.375])


def test_what_was_not_run_has_no_sample(ranked):
    study = Study({"iminet_tied": {0: ranked({"bells": [1]})}, "tl_none": {}})
    assert study.sample("tl_none", "bells") is None
    assert study.sample("imisound", "bells") is None
    assert study.sample("iminet_tied", "dogs") is None


def test_the_best_row_has_the_highest_mean_over_categories(ranked):
    study = Study(
        {
            "iminet_tied": {0: ranked({"bells": [1], "dogs": [4]})},
            "iminet_untied": {0: ranked({"bells": [2], "dogs": [1]})},
        }
    )
    assert study.best == "iminet_untied"


def test_runs_on_other_candidates_are_refused(ranked):
    one, other = ranked({"bells": [1]}), ranked({"bells": [1]}, candidates=5)
    with pytest.raises(ConfigError, match=r"candidates in bells differ.*bells_4\.wav"):
        Study({"iminet_tied": {0: one, 1: other}})
    with pytest.raises(ConfigError, match="their split differs"):
        Study({"iminet_tied": {0: one}}, yardstick=ranked({"bells": [1]}, split="xyz"))


def test_no_run_is_refused():
    with pytest.raises(ConfigError, match="No finished run"):
        _ = Study({}).reference


def test_only_the_papers_candidates_are_comparable_with_the_paper(ranked):
    demo = Study({"iminet_tied": {0: ranked({"everyday": [1]})}})
    small = Study({"iminet_tied": {0: ranked({"everyday": [1]}, corpus="vocalsketch")}})
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
