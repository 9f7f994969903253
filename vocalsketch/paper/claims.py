"""The paper's statements and comparisons, and ours, judged by numbers (section VI-E)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import yaml
from pandas import DataFrame

from vocalsketch.paper import rows
from vocalsketch.paper.measured import Measured
from vocalsketch.paper.rows import FUSED, IMINET, IMINET_FUSION, IMISOUND, TL_IMINET, row_of
from vocalsketch.retrieval.significance import Sample, TTest, holm, paired_bootstrap, welch

BOOTSTRAP_SEED = 0  # the same intervals each time a report is made
SIGNIFICANCE = 0.05  # level of the tests, as in the paper
COLUMNS = (
    *("corpus", "group", "first", "second", "category"),
    *("difference", "t", "p", "p_holm", "bootstrap_low", "bootstrap_high"),
)
Verdict = Literal["held", "not held", "not significant", "not run"]
Pairs = Sequence[tuple[str, str]]
Comparison = tuple[str, str, str]  # keys of two rows, the better first, and a category
Samples = Callable[[str, str], Sample | None]  # MRR of a row in a category; None if not run

NETWORKS = (*IMINET, IMINET_FUSION, *TL_IMINET)
GROUPS: dict[str, Pairs] = {
    "Networks against IMISOUND": [(key, IMISOUND) for key in NETWORKS],
    "Pre-training against none": [(key, TL_IMINET[0]) for key in TL_IMINET[1:]],
    "Fusion of the three IMINETs against each": [(IMINET_FUSION, key) for key in IMINET],
    "Fusion with IMISOUND against unfused": [(f"{key}{FUSED}", key) for key in NETWORKS],
}


def comparisons(measured: Measured) -> DataFrame:
    """Return every comparison of which both systems were run, a line per pair and category.

    ``first`` is the row expected to be better. ``difference``, ``t`` and ``p`` are Welch's t-test
    over seeds; ``p_holm`` corrects it for all tests of the group; both are NaN where a system has
    one seed. The bootstrap's interval (95 %) is over queries, each one's reciprocal rank averaged
    over seeds.
    """
    own = [key for key in measured.runs if row_of(key).block in (rows.BEYOND, rows.ADDED)]
    beyond: dict[str, Pairs] = {
        f"{rows.BEYOND}, against {row_of(other).name}": [(key, other) for key in own]
        for other in (TL_IMINET[3], IMINET[2])
    }
    lines: list[tuple[object, ...]] = []
    for group, pairs in {**GROUPS, **beyond}.items():
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


@dataclass(frozen=True)
class Claim:
    """That in each pair of systems the first has the higher MRR."""

    statement: str  # the claim in words
    section: str  # where the paper makes it
    pairs: Sequence[Sequence[str]]  # (better, worse) row keys
    # where it is claimed; None is every category of the corpus
    categories: Sequence[str] | None = None


CLAIMS = tuple(
    Claim(**entry)
    for entry in yaml.safe_load(Path(__file__).with_name("claims.yaml").read_text("utf-8"))
)


class Judgement(NamedTuple):
    """What numbers say of a claim."""

    # ``not run`` where a system or category is missing; ``not held`` where a first system's mean is
    # not above the second's; ``held`` where all are above and significantly so; ``not significant``
    # otherwise
    verdict: Verdict
    comparisons: int  # how many (pair, category) there are
    above: int = 0  # in how many of them the first system's mean is above the second's
    tested: int = 0  # in how many there is a test; one seed alone allows none
    # in how many it is significantly above: Welch's t-test, two-sided, corrected by Holm over the
    # claim's comparisons
    significant: int = 0
    against: tuple[Comparison, ...] = ()  # the (better, worse, category) in which it is not above

    @property
    def evidence(self) -> str:
        """In how many comparisons the claim held, and where it did not."""
        if self.verdict == "not run":
            return "some of its systems or categories were not run"
        judged = f"significantly in {self.significant}" if self.tested else "no test"
        counts = f"higher in {self.above} of {self.comparisons}, {judged}"
        of_pair = itemgetter(0, 1)
        against = "; ".join(
            f"{row_of(better).name} not above {row_of(worse).name} on "
            + ", ".join(category for _, _, category in these)
            for (better, worse), these in groupby(sorted(self.against, key=of_pair), of_pair)
        )
        return f"{counts}: {against}" if against else counts


def judgements(measured: Measured) -> DataFrame:
    """Return each claim judged by the runs, and by the paper's own table.

    Returns:
        Columns ``statement``, ``section``, ``here``, ``evidence``, ``paper``; claims of which
        something was not run come last.
    """
    lines = []
    for claim in CLAIMS:
        here = judge(claim, measured.sample, measured.categories)
        paper = judge(claim, rows.printed_sample, rows.CATEGORIES)
        lines.append((claim.statement, claim.section, here.verdict, here.evidence, paper.verdict))
    lines.sort(key=lambda line: line[2] == "not run")
    return DataFrame(lines, columns=["statement", "section", "here", "evidence", "paper"])


def judge(claim: Claim, sample: Samples, categories: Sequence[str]) -> Judgement:
    """Judge a claim by the MRR over seeds, ``sample``, in its categories or in all."""
    asked = [
        (better, worse, category)
        for category in (claim.categories or categories)
        for better, worse in claim.pairs
    ]
    if any(sample(key, where) is None for *pair, where in asked for key in pair):
        return Judgement("not run", len(asked))
    tests, corrected = tested(asked, sample)
    above = [test.difference > 0 for test in tests]
    significant = sum(u and p < SIGNIFICANCE for u, p in zip(above, corrected, strict=True))
    against = tuple(which for which, up in zip(asked, above, strict=True) if not up)
    verdict: Verdict = "held" if significant == len(asked) else "not significant"
    count = sum(not math.isnan(p) for p in corrected)
    return Judgement(
        "not held" if against else verdict, len(asked), sum(above), count, significant, against
    )
