"""The paper's comparisons of systems, tested over seeds and over queries (section VI-E)."""

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
from vocalsketch.retrieval.significance import holm, paired_bootstrap, welch

BOOTSTRAP_SEED = 0  # the same intervals each time a report is made
COLUMNS = (
    *("corpus", "group", "first", "second", "category"),
    *("difference", "t", "p", "p_holm", "bootstrap_low", "bootstrap_high"),
)
Pairs = tuple[tuple[str, str], ...]

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
            if first in measured.reciprocal_ranks and second in measured.reciprocal_ranks
            for category in measured.categories
        ]
        lines += _tested(measured, group, found)
    return DataFrame(lines, columns=list(COLUMNS))


def _beyond(measured: Measured) -> dict[str, Pairs]:
    """Return the comparisons of rows that are not the paper's with its two main systems."""
    own = [key for key in measured.runs if row_of(key).block in (BEYOND, ADDED)]
    against = (TL_IMINET[3], IMINET[2])
    return {
        f"{BEYOND}, against {row_of(other).name}": tuple((key, other) for key in own)
        for other in against
    }


def _tested(
    measured: Measured, group: str, found: list[tuple[str, str, str]]
) -> list[tuple[object, ...]]:
    tests = []
    for first, second, category in found:
        one, other = measured.sample(first, category), measured.sample(second, category)
        assert one is not None
        assert other is not None
        tests.append(welch(one, other))
    corrected = holm([test.p for test in tests])
    lines: list[tuple[object, ...]] = []
    for (first, second, category), test, p_holm in zip(found, tests, corrected, strict=True):
        interval = paired_bootstrap(
            measured.per_query(first, category),
            measured.per_query(second, category),
            np.random.default_rng(BOOTSTRAP_SEED),
        )
        place = (measured.reference.corpus, group, first, second, category)
        over_seeds = (test.difference, test.statistic, test.p, p_holm)
        lines.append((*place, *over_seeds, interval.low, interval.high))
    return lines
