"""The paper's comparisons of systems, tested over seeds and over queries (section VI-E)."""

from collections.abc import Callable, Sequence

import numpy as np
from pandas import DataFrame

from vocalsketch.paper.measured import Measured
from vocalsketch.paper.rows import (
    ADDED,
    BEYOND,
    FUSED,
    IMINET,
    IMINET_FUSION,
    IMISOUND,
    TL_IMINET,
    row_of,
)
from vocalsketch.retrieval.significance import Sample, TTest, holm, paired_bootstrap, welch

BOOTSTRAP_SEED = 0  # the same intervals each time a report is made
COLUMNS = (
    *("corpus", "group", "first", "second", "category"),
    *("difference", "t", "p", "p_holm", "bootstrap_low", "bootstrap_high"),
)
Pairs = tuple[tuple[str, str], ...]
Comparison = tuple[str, str, str]  # keys of two rows, the better first, and a category
Samples = Callable[[str, str], Sample | None]  # MRR of a row in a category; None if not run

GROUPS: dict[str, Pairs] = {
    "Networks against IMISOUND": tuple(
        (key, IMISOUND) for key in (*IMINET, IMINET_FUSION, *TL_IMINET)
    ),
    "Pre-training against none": tuple((key, TL_IMINET[0]) for key in TL_IMINET[1:]),
    "Fusion of the three IMINETs against each": tuple((IMINET_FUSION, key) for key in IMINET),
    "Fusion with IMISOUND against unfused": tuple(
        (f"{key}{FUSED}", key) for key in (*IMINET, IMINET_FUSION, *TL_IMINET)
    ),
}


def comparisons(measured: Measured) -> DataFrame:
    """Return every comparison of which both systems were run, a line per pair and category.

    ``first`` is the row expected to be better. ``difference``, ``t`` and ``p`` are Welch's t-test
    over seeds; ``p_holm`` corrects it for all tests of the group; both are NaN where a system has
    one seed. The bootstrap's interval (95 %) is over queries, each one's reciprocal rank averaged
    over seeds.
    """
    lines: list[tuple[object, ...]] = []
    for group, pairs in {**GROUPS, **_beyond(measured)}.items():
        found = [
            (first, second, category)
            for first, second in pairs
            if {first, second} <= measured.reciprocal_ranks.keys()
            for category in measured.categories
        ]
        for where, test, p_holm in zip(found, *tested(found, measured.sample), strict=True):
            first, second, category = where
            interval = paired_bootstrap(
                measured.per_query(first, category),
                measured.per_query(second, category),
                np.random.default_rng(BOOTSTRAP_SEED),
            )
            over_seeds = (test.difference, test.statistic, test.p, p_holm)
            place = (measured.reference.corpus, group, *where)
            lines.append((*place, *over_seeds, interval.low, interval.high))
    return DataFrame(lines, columns=list(COLUMNS))


def tested(asked: Sequence[Comparison], sample: Samples) -> tuple[list[TTest], list[float]]:
    """Return Welch's t-test of each comparison, all of them run, and the p-values after Holm."""
    tests = []
    for *pair, category in asked:
        first, second = (found for key in pair if (found := sample(key, category)))
        tests.append(welch(first, second))
    return tests, holm([test.p for test in tests])


def _beyond(measured: Measured) -> dict[str, Pairs]:
    """Return the comparisons of rows that are not the paper's with its two main systems."""
    own = [key for key in measured.runs if row_of(key).block in (BEYOND, ADDED)]
    return {
        f"{BEYOND}, against {row_of(other).name}": tuple((key, other) for key in own)
        for other in (TL_IMINET[3], IMINET[2])
    }
