"""Table I as printed."""

import pytest

from vocalsketch.paper.rows import CATEGORIES, FIGURE_6, TABLE_I, printed_sample, row_of
from vocalsketch.retrieval.results import welch

ACOUSTIC, COMMERCIAL, EVERYDAY, SINGLE = CATEGORIES


def test_it_has_17_rows_in_five_blocks():
    assert len(TABLE_I) == len({row.key for row in TABLE_I}) == 17
    blocks = [row.block for row in TABLE_I]
    assert [blocks.count(name) for name in dict.fromkeys(blocks)] == [1, 4, 4, 4, 4]
    assert all(len(row.printed) == 4 for row in TABLE_I)


@pytest.mark.parametrize(
    ("better", "worse", "category", "p"),
    [
        ("iminet_tied", "imisound", COMMERCIAL, 1.17e-2),
        ("iminet_tied", "imisound", EVERYDAY, 6.15e-6),
        ("iminet_fusion", "imisound", ACOUSTIC, 3.08e-2),
        ("iminet_fusion", "imisound", COMMERCIAL, 2.70e-4),
        ("iminet_fusion", "imisound", EVERYDAY, 8.30e-8),
        ("tl_conv123", "iminet_untied", ACOUSTIC, 2.57e-9),
        ("tl_conv123", "iminet_untied", COMMERCIAL, 7.49e-4),
        ("tl_conv123", "iminet_untied", EVERYDAY, 5.21e-11),
        ("tl_conv123", "iminet_untied", SINGLE, 8.35e-6),
        ("tl_none", "iminet_untied", ACOUSTIC, 3.65e-2),
        ("tl_none", "iminet_untied", EVERYDAY, 3.57e-7),
        ("tl_none", "iminet_untied", SINGLE, 4.81e-5),
    ],
)
def test_the_p_values_of_the_text_follow_from_the_table(better, worse, category, p):
    # One-sided, though the text does not say so, and for TL-IMINET against untied IMINET, though
    # the text says IMISOUND; the printed means and deviations are rounded to three places.
    test = welch(printed_sample(better, category), printed_sample(worse, category))
    assert test.p / 2 == pytest.approx(p, rel=0.35)


def test_labels_are_clear_outside_their_block():
    assert len({row.name for row in TABLE_I}) == 17
    assert [row_of(key).name for key in FIGURE_6] == [
        "IMISOUND",
        "IMINET Tied",
        "TL-IMINET Pre-trained Conv1/2/3",
        "IMINET Tied + IMISOUND",
        "TL-IMINET Pre-trained Conv1/2/3 + IMISOUND",
    ]
