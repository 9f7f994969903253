"""The paper's statements about its systems (section VI-E) and ours, each judged by numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Literal, NamedTuple

from pandas import DataFrame

from vocalsketch.paper.comparisons import Comparison, Samples, tested
from vocalsketch.paper.measured import Measured
from vocalsketch.paper.rows import (
    BEYOND,
    CATEGORIES,
    ENSEMBLE,
    FIGURE_6,
    FUSED,
    IMINET,
    IMINET_FUSION,
    IMISOUND,
    TL_IMINET,
    printed_sample,
    row_of,
)

Verdict = Literal["held", "not held", "not significant", "not run"]
SIGNIFICANCE = 0.05  # level of the tests, as in the paper

ACOUSTIC, COMMERCIAL, EVERYDAY, SINGLE = CATEGORIES


@dataclass(frozen=True)
class Claim:
    """That in each pair of systems the first has the higher MRR.

    Attributes:
        statement: The claim in words.
        section: Where the paper makes it.
        pairs: (better, worse) row keys.
        categories: Where it is claimed; None is every category of the corpus.
    """

    statement: str
    section: str
    pairs: tuple[tuple[str, str], ...]
    categories: tuple[str, ...] | None = None


class Judgement(NamedTuple):
    """What numbers say of a claim.

    Attributes:
        verdict: ``not run`` where a system or category is missing; ``not held`` where a first
            system's mean is not above the second's; ``held`` where all are above and
            significantly so; ``not significant`` otherwise.
        comparisons: How many (pair, category) there are.
        above: In how many of them the first system's mean is above the second's.
        tested: In how many there is a test; one seed alone allows none.
        significant: In how many it is significantly above: Welch's t-test, two-sided, corrected
            by Holm over the claim's comparisons.
        against: The (better, worse, category) in which it is not above.
    """

    verdict: Verdict
    comparisons: int
    above: int = 0
    tested: int = 0
    significant: int = 0
    against: tuple[Comparison, ...] = ()

    @property
    def evidence(self) -> str:
        """In how many comparisons the claim held, and where it did not."""
        if self.verdict == "not run":
            return "some of its systems or categories were not run"
        judged = f"significantly in {self.significant}" if self.tested else "no test"
        counts = f"higher in {self.above} of {self.comparisons}, {judged}"
        against = "; ".join(
            f"{row_of(better).name} not above {row_of(worse).name} on "
            + ", ".join(category for _, _, category in these)
            for (better, worse), these in groupby(
                sorted(self.against, key=itemgetter(0, 1)), key=itemgetter(0, 1)
            )
        )
        return f"{counts}: {against}" if against else counts


CLAIMS = (
    Claim(
        "IMINET's MRR rises from untied to partially tied to tied towers in every category",
        "VI-E1",
        tuple((better, worse) for worse, better in pairwise(IMINET)),
    ),
    Claim("Tied beats untied in every category", "VI-E1", ((IMINET[2], IMINET[0]),)),
    Claim(
        "Tied IMINET beats IMISOUND on commercial synthesizers and everyday sounds",
        "VI-E1",
        ((IMINET[2], IMISOUND),),
        (COMMERCIAL, EVERYDAY),
    ),
    Claim(
        "IMISOUND beats tied IMINET on acoustic instruments",
        "VI-E1",
        ((IMISOUND, IMINET[2]),),
        (ACOUSTIC,),
    ),
    Claim(
        "The fusion of the three IMINETs beats each of them in every category",
        "VI-E1",
        tuple((IMINET_FUSION, key) for key in IMINET),
    ),
    Claim(
        "TL-IMINET without pre-training beats untied IMINET except on commercial synthesizers",
        "VI-E2",
        ((TL_IMINET[0], IMINET[0]),),
        (ACOUSTIC, EVERYDAY, SINGLE),
    ),
    Claim(
        "TL-IMINET without pre-training beats tied IMINET on everyday sounds",
        "Table I",
        ((TL_IMINET[0], IMINET[2]),),
        (EVERYDAY,),
    ),
    Claim(
        "MRR rises with the layers pre-trained in every category",
        "VI-E2",
        tuple((better, worse) for worse, better in pairwise(TL_IMINET)),
    ),
    Claim(
        "Pre-training all layers beats no pre-training in every category",
        "VI-E2",
        ((TL_IMINET[3], TL_IMINET[0]),),
    ),
    Claim(
        "Pre-training all layers is best of the four except on single synthesizers",
        "VI-E2",
        tuple((TL_IMINET[3], key) for key in TL_IMINET[:3]),
        (ACOUSTIC, COMMERCIAL, EVERYDAY),
    ),
    Claim(
        "Fully pre-trained TL-IMINET beats IMISOUND in every category",
        "VI-E2",
        ((TL_IMINET[3], IMISOUND),),
    ),
    Claim(
        "TL-IMINET without pre-training beats IMISOUND except on commercial synthesizers",
        "VI-E2",
        ((TL_IMINET[0], IMISOUND),),
        (ACOUSTIC, EVERYDAY, SINGLE),
    ),
    Claim(
        "Fully pre-trained TL-IMINET beats tied IMINET in every category",
        "Figure 6",
        ((TL_IMINET[3], IMINET[2]),),
    ),
    Claim(
        "Every IMINET improves when fused with IMISOUND, in every category",
        "VI-E3",
        tuple((f"{key}{FUSED}", key) for key in (*IMINET, IMINET_FUSION)),
    ),
    Claim(
        "Every TL-IMINET improves when fused with IMISOUND, except on everyday sounds",
        "VI-E3",
        tuple((f"{key}{FUSED}", key) for key in TL_IMINET),
        (ACOUSTIC, COMMERCIAL, SINGLE),
    ),
    Claim(
        "Fully pre-trained TL-IMINET fused with IMISOUND is the best of Figure 6's five systems",
        "VI-E3",
        tuple((FIGURE_6[4], key) for key in FIGURE_6[:4]),
    ),
    Claim(
        "A contrastive loss beats pairs of the same data: the dual encoder trained on this corpus "
        "alone beats tied IMINET and fully pre-trained TL-IMINET",
        BEYOND,
        (("dual_scratch", IMINET[2]), ("dual_scratch", TL_IMINET[3])),
    ),
    Claim(
        "Synthesised imitations help: the dual encoder that began with them beats the one trained "
        "on this corpus alone",
        BEYOND,
        (("dual", "dual_scratch"),),
    ),
    Claim(
        "Contours add: their ensemble with the dual encoder beats the dual encoder alone",
        BEYOND,
        ((ENSEMBLE, "dual"),),
    ),
)


def judgements(measured: Measured) -> DataFrame:
    """Return each claim judged by the runs, and by the paper's own table.

    Returns:
        Columns ``statement``, ``section``, ``here``, ``evidence``, ``paper``; claims of which
        something was not run come last.
    """
    lines = []
    for claim in CLAIMS:
        here = judge(claim, measured.sample, measured.categories)
        paper = judge(claim, printed_sample, CATEGORIES)
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
