"""Table I, measured: mean and standard deviation over seeds beside the paper's."""

import math

import pandas as pd
from pandas import DataFrame

from vocalsketch.paper.measured import Measured
from vocalsketch.paper.rows import TABLE_I, Row, printed_sample, row_of
from vocalsketch.retrieval.significance import Sample, mean_and_deviation

COLUMNS = (
    *("corpus", "row", "block", "label", "category", "mean", "std", "seeds", "best"),
    *("paper_mean", "paper_std", "difference", "chance"),
)


def table(measured: Measured) -> DataFrame:
    """Return a line per row and category: the paper's 17 rows, then the others that were run.

    ``mean`` and ``std`` are of the MRR over ``seeds`` runs, NaN where there are none (``std`` of
    one is NaN too); ``difference`` is the measured minus the printed mean. ``best`` marks the
    highest mean, as printed, of a block and category of which more than one row was run.
    """
    keys = [row.key for row in TABLE_I]
    rows = [row_of(key) for key in (*keys, *(key for key in measured.runs if key not in keys))]
    frame = DataFrame(
        [_line(measured, row, category) for row in rows for category in measured.categories],
        columns=list(COLUMNS),
    )
    of_block = frame["mean"].round(3).groupby([frame["block"], frame["category"]])
    frame["best"] = (frame["mean"].round(3) == of_block.transform("max")) & (
        of_block.transform("count") > 1
    )
    return frame


def shown(frame: DataFrame, *, brief: bool = False) -> tuple[DataFrame, DataFrame]:
    """Return the blocks of which something was run as text, and which cells are the best.

    Args:
        frame: What ``table`` returns.
        brief: Without the paper's deviation.

    Returns:
        Two frames with a line per (block, label) and a column per category: texts whose second
        line, where there is one, is the paper's value and the difference; and booleans.
    """
    run = frame[frame["seeds"].groupby(frame["block"]).transform("sum") > 0]
    run = run.assign(text=[_text(line, brief=brief) for line in run.to_dict("records")])
    texts, best = (
        run.pivot_table(
            index=["block", "label"], columns="category", values=value, aggfunc="first", sort=False
        )
        for value in ("text", "best")
    )
    for each in (texts, best):
        each.columns.name = None
        each.index.names = [None, None]
    return texts, best


def _line(measured: Measured, row: Row, category: str) -> tuple[object, ...]:
    none = Sample(math.nan, math.nan, 0)
    here = measured.sample(row.key, category) or none
    paper = printed_sample(row.key, category) or none
    place = (measured.reference.corpus, row.key, row.block, row.label, category)
    values = (here.mean, here.std, here.count, False, paper.mean, paper.std)
    return (*place, *values, here.mean - paper.mean, measured.chance[category])


def _text(line: dict[str, float], *, brief: bool) -> str:
    here = mean_and_deviation(line["mean"], line["std"])
    if pd.isna(line["paper_mean"]):
        return here
    paper = mean_and_deviation(line["paper_mean"], math.nan if brief else line["paper_std"])
    difference = "" if pd.isna(line["difference"]) else f", {line['difference']:+.3f}"
    return f"{here}\n{paper}{difference}"
