"""Lines of the measured table."""

import math

import pytest

from vocalsketch.paper.measured import Measured, shown, table
from vocalsketch.paper.rows import printed_sample
from vocalsketch.retrieval.results import mean_and_deviation


def lines(measured, category):
    frame = table(measured)
    return frame[frame["category"] == category].set_index("row")


def test_each_cell_stands_beside_the_papers(ranked):
    measured = Measured(
        {"iminet_tied": {0: ranked({"everyday": [2]}), 1: ranked({"everyday": [4]})}},
    )
    found = lines(measured, "everyday")
    assert len(found) == 17
    tied = found.loc["iminet_tied"]
    assert tied["mean"] == pytest.approx(0.375)
    assert tied["seeds"] == 2
    assert (tied["paper_mean"], tied["paper_std"]) == (0.158, 0.012)
    assert tied["difference"] == pytest.approx(0.375 - 0.158)
    assert found.loc["imisound", "seeds"] == 0
    assert math.isnan(found.loc["imisound", "difference"])


def test_the_best_of_a_block_is_marked_and_printed_ties_share_it(ranked):
    measured = Measured(
        {
            "iminet_tied": {0: ranked({"everyday": [2], "dogs": [3]})},
            "iminet_untied": {0: ranked({"everyday": [4], "dogs": [3]})},
            "tl_none": {0: ranked({"everyday": [1], "dogs": [1]})},
        }
    )
    best = {
        category: [key for key, each in lines(measured, category).iterrows() if each["best"]]
        for category in measured.categories
    }
    # tl_none was run alone in its block: it is best of nothing.
    assert best == {"everyday": ["iminet_tied"], "dogs": ["iminet_untied", "iminet_tied"]}


def test_a_category_that_the_paper_lacks_has_no_paper_value(ranked):
    measured = Measured({"iminet_tied": {0: ranked({"dogs": [2]})}})
    assert math.isnan(lines(measured, "dogs").loc["iminet_tied", "paper_mean"])
    assert printed_sample("iminet_tied", "dogs") is None
    assert printed_sample("contours", "everyday") is None


def test_rows_that_are_not_the_papers_follow_in_blocks_of_their_own(ranked):
    runs = {key: {0: ranked({"everyday": [2]})} for key in ("contours", "mine", "iminet_tied")}
    texts, _ = shown(table(Measured(runs)))
    assert texts.index.unique(0).tolist() == ["IMINET", "Beyond the paper", "Added", ""]
    assert texts.loc[("Added", "mine"), "everyday"] == "0.500"
    assert texts.loc[("IMINET", "Tied"), "everyday"] == "0.500\n0.158 ± 0.012, +0.342"
    assert texts.loc[("IMINET", "Untied"), "everyday"] == "not run\n0.154 ± 0.014"


@pytest.mark.parametrize(
    ("mean", "std", "text"),
    [
        (0.4004, 0.0284, "0.400 ± 0.028"),
        (0.25, math.nan, "0.250"),
        (math.nan, math.nan, "not run"),
    ],
)
def test_a_cell_is_printed_as_in_the_paper(mean, std, text):
    assert mean_and_deviation(mean, std) == text
