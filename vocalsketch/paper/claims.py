"""The paper's statements and comparisons, and ours, judged by numbers (section VI-E)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import yaml
from pandas import DataFrame, concat

from vocalsketch.paper import rows
from vocalsketch.paper.measured import Measured
from vocalsketch.paper.rows import FUSED, IMINET, IMINET_FUSION, IMISOUND, TL_IMINET, row_of
from vocalsketch.retrieval.results import Sample, holm, paired_bootstrap, welch

COLUMNS = (
    *("corpus", "group", "first", "second", "category"),
    *("difference", "t", "p", "p_holm", "bootstrap_low", "bootstrap_high"),
)
BOOTSTRAP_SEED = 0  # the same intervals each time a report is made
SIGNIFICANCE = 0.05  # level of the tests, as in the paper
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
    known = {key for key, by_seed in measured.runs.items() if by_seed}
    groups = []
    for group, pairs in {**GROUPS, **beyond}.items():
        run = [pair for pair in pairs if known.issuperset(pair)]
        found = [(*pair, category) for pair in run for category in measured.categories]
        if found:
            groups.append(tested(found, measured.sample).assign(group=group))
    frame = concat(groups or [DataFrame(columns=COLUMNS)], ignore_index=True)
    intervals = [
        paired_bootstrap(
            measured.per_query(each.first, each.category),
            measured.per_query(each.second, each.category),
            np.random.default_rng(BOOTSTRAP_SEED),
        )
        for each in frame.itertuples()
    ]
    frame["bootstrap_low"] = [each.low for each in intervals]
    frame["bootstrap_high"] = [each.high for each in intervals]
    return frame.assign(corpus=measured.reference.corpus)[list(COLUMNS)]


def tested(asked: Sequence[Comparison], sample: Samples) -> DataFrame:
    """Return Welch's t-test of each comparison, all of them run, and the p-values after Holm."""
    tests = []
    for *pair, category in asked:
        first, second = (found for key in pair if (found := sample(key, category)))
        tests.append(welch(first, second))
    frame = DataFrame(asked, columns=["first", "second", "category"])
    frame[["difference", "t", "p"]] = tests
    return frame.assign(p_holm=holm([test.p for test in tests]))


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


def judgements(measured: Measured) -> DataFrame:
    """Return each claim judged by the runs, and by the paper's own table.

    Returns:
        Columns ``statement``, ``section``, ``here``, ``evidence``, ``paper``; claims of which
        something was not run come last.
    """
    lines = []
    for claim in CLAIMS:
        here, evidence = judge(claim, measured.sample, measured.categories)
        paper, _ = judge(claim, rows.printed_sample, rows.CATEGORIES)
        lines.append((claim.statement, claim.section, here, evidence, paper))
    lines.sort(key=lambda line: line[2] == "not run")
    return DataFrame(lines, columns=["statement", "section", "here", "evidence", "paper"])


def judge(claim: Claim, sample: Samples, categories: Sequence[str]) -> tuple[Verdict, str]:
    """Judge a claim by the MRR over seeds, ``sample``, in its categories or in all.

    Returns:
        ``not run`` where a system or category is missing; ``not held`` where a first system's mean
        is not above the second's; ``held`` where all are above and significantly so (Welch's
        t-test, two-sided, corrected by Holm over the claim's comparisons); ``not significant``
        otherwise. And in how many comparisons it held, and where it did not.
    """
    asked = [
        (better, worse, category)
        for category in (claim.categories or categories)
        for better, worse in claim.pairs
    ]
    if any(sample(key, where) is None for *pair, where in asked for key in pair):
        return "not run", "some of its systems or categories were not run"
    tests = tested(asked, sample)
    above = tests["difference"] > 0
    significant = int((above & (tests["p_holm"] < SIGNIFICANCE)).sum())
    judged = "no test" if tests["p_holm"].isna().all() else f"significantly in {significant}"
    counts = f"higher in {above.sum()} of {len(asked)}, {judged}"
    if above.all():
        return "held" if significant == len(asked) else "not significant", counts
    against = "; ".join(
        f"{row_of(better).name} not above {row_of(worse).name} on {', '.join(these['category'])}"
        for (better, worse), these in tests[~above].groupby(["first", "second"])
    )
    return "not held", f"{counts}: {against}"
