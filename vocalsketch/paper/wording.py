"""How the report words figures, the same in every format."""

import math

from vocalsketch.paper.claims import Judgement
from vocalsketch.paper.published import label
from vocalsketch.paper.table import Cell

READING = {
    "table": (
        "Mean ± standard deviation over seeds of the MRR per category; in brackets what the paper "
        "prints and how far the measured mean lies from it. The best of each block is in bold. "
        "Without learning: contours of loudness, pitch, periodicity and brightness, compared by "
        "distance. Chance: what random scores reach on average."
    ),
    "claims": (
        "Held: in every comparison that the statement makes the better system has the higher mean, "
        "significantly so (Welch's t-test over seeds, two-sided, p < 0.05 after Holm's correction "
        "within the statement). Not significant: the higher mean everywhere, but not significantly "
        "everywhere. Not held: not the higher mean everywhere. One seed of each allows no test. "
        "The last column judges the paper's printed means and deviations in the same way."
    ),
    "tests": (
        "p: Welch's unpaired t-test over seeds, two-sided, and corrected by Holm for all tests of "
        "its group. 95% over queries: paired bootstrap of the difference in MRR, each query's "
        "reciprocal rank averaged over seeds; it says nothing about other sounds or other seeds. "
        "The paper's printed p-values agree with one-sided Welch tests on its Table I, in which "
        "TL-IMINET is tested against untied IMINET, though the text says IMISOUND."
    ),
}


def signed(value: float) -> str:
    """Return a difference of MRRs with its sign.

    >>> signed(0.0241), signed(-0.0004)
    ('+0.024', '-0.000')
    """
    return f"{value:+.3f}"


def difference(cell: Cell) -> str:
    """Return ``, +0.012`` for a measured cell, nothing for one that was not run."""
    return "" if math.isnan(cell.difference) else f", {signed(cell.difference)}"


def p_value(p: float) -> str:
    """Return a p-value as the paper prints them; a dash where there is no test.

    >>> p_value(0.0117), p_value(0.2), p_value(float("nan"))
    ('1.17e-02', '0.20', '-')
    """
    if math.isnan(p):
        return "-"
    return f"{p:.2f}" if p >= 0.1 else f"{p:.2e}"


def evidence(judgement: Judgement) -> str:
    """Return in how many comparisons a claim held, and where it did not."""
    if judgement.verdict == "not run":
        return "some of its systems or categories were not run"
    judged = f"significantly in {judgement.significant}" if judgement.tested else "no test"
    counts = f"higher in {judgement.above} of {judgement.comparisons}, {judged}"
    where: dict[tuple[str, str], list[str]] = {}
    for better, worse, category in judgement.against:
        where.setdefault((better, worse), []).append(category)
    against = "; ".join(
        f"{label(better)} not above {label(worse)} on {', '.join(categories)}"
        for (better, worse), categories in where.items()
    )
    return f"{counts}: {against}" if against else counts
