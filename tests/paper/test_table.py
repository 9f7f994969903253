"""Cells of the measured table."""

import math

import pytest

from vocalsketch.paper.study import Study
from vocalsketch.paper.table import paper_sample, printed, table
from vocalsketch.retrieval.significance import Sample


def cells(study, category):
    return {row.key: row.cells[category] for block in table(study) for row in block.rows}


def test_each_cell_stands_beside_the_papers(ranked):
    study = Study(
        {"iminet_tied": {0: ranked({"everyday": [2]}), 1: ranked({"everyday": [4]})}},
    )
    found = cells(study, "everyday")
    assert len(found) == 17
    tied = found["iminet_tied"]
    assert tied.measured.mean == pytest.approx(0.375)
    assert (tied.paper.mean, tied.paper.std, tied.paper.count) == (0.158, 0.012, 10)
    assert tied.difference == pytest.approx(0.375 - 0.158)
    assert found["imisound"].measured is None
    assert math.isnan(found["imisound"].difference)


def test_the_best_of_a_block_is_marked_and_printed_ties_share_it(ranked):
    study = Study(
        {
            "iminet_tied": {0: ranked({"everyday": [2], "dogs": [3]})},
            "iminet_untied": {0: ranked({"everyday": [4], "dogs": [3]})},
            "tl_none": {0: ranked({"everyday": [1], "dogs": [1]})},
        }
    )
    best = {
        category: [key for key, cell in cells(study, category).items() if cell.best]
        for category in study.categories
    }
    # tl_none was run alone in its block: it is best of nothing.
    assert best == {"everyday": ["iminet_tied"], "dogs": ["iminet_untied", "iminet_tied"]}


def test_a_category_that_the_paper_lacks_has_no_paper_value(ranked):
    study = Study({"iminet_tied": {0: ranked({"dogs": [2]})}})
    assert cells(study, "dogs")["iminet_tied"].paper is None
    assert paper_sample("iminet_tied", "dogs") is None
    assert paper_sample("yardstick", "everyday") is None


@pytest.mark.parametrize(
    ("sample", "text"),
    [
        (Sample(0.4004, 0.0284, 10), "0.400 ± 0.028"),
        (Sample(0.25, math.nan, 1), "0.250"),
        (None, "not run"),
    ],
)
def test_a_cell_is_printed_as_in_the_paper(sample, text):
    assert printed(sample) == text
