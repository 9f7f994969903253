"""The report's figures as CSV, one line per cell or test, the corpus named on each."""

import csv
import io
from collections.abc import Iterable, Sequence

from vocalsketch.paper.content import Content

TABLE_COLUMNS = (
    "corpus",
    "row",
    "block",
    "label",
    "category",
    "mean",
    "std",
    "seeds",
    "best",
    "paper_mean",
    "paper_std",
    "difference",
    "chance",
    "without_learning",
)
TEST_COLUMNS = (
    "corpus",
    "group",
    "first",
    "second",
    "category",
    "difference",
    "t",
    "p",
    "p_holm",
    "bootstrap_low",
    "bootstrap_high",
)


def table_csv(content: Content) -> str:
    """Return Table I, one line per row and category; empty where not run."""
    lines = []
    for block in content.blocks:
        for row in block.rows:
            for category, cell in row.cells.items():
                here, paper = cell.measured, cell.paper
                lines.append(
                    (
                        content.study.reference.corpus,
                        row.key,
                        block.name,
                        row.label,
                        category,
                        *((here.mean, here.std, here.count) if here else (None, None, 0)),
                        cell.best,
                        *((paper.mean, paper.std) if paper else (None, None)),
                        cell.difference,
                        content.chance[category],
                        content.yardstick[category].mean if content.yardstick else None,
                    )
                )
    return _text(TABLE_COLUMNS, lines)


def tests_csv(content: Content) -> str:
    """Return every comparison: t-test, Holm's correction, bootstrap interval."""
    return _text(
        TEST_COLUMNS,
        [
            (
                content.study.reference.corpus,
                group,
                each.first,
                each.second,
                each.category,
                each.test.difference,
                each.test.statistic,
                each.test.p,
                each.holm,
                each.interval.low,
                each.interval.high,
            )
            for group, found in content.comparisons.items()
            for each in found
        ],
    )


def _text(columns: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(columns)
    # A value that is not itself is NaN: what was not run has none.
    writer.writerows([["" if value != value else value for value in line] for line in lines])
    return target.getvalue()
