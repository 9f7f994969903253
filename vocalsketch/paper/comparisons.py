"""The paper's comparisons of systems, tested over seeds and over queries (section VI-E)."""

from dataclasses import dataclass, replace

import numpy as np

from vocalsketch.paper.published import FUSED, IMINET, IMINET_FUSION, IMISOUND, TL_IMINET
from vocalsketch.paper.study import Study
from vocalsketch.retrieval.significance import Interval, TTest, holm, paired_bootstrap, welch

BOOTSTRAP_SEED = 0  # the same intervals each time a report is made

GROUPS: dict[str, tuple[tuple[str, str], ...]] = {
    "Networks against IMISOUND": tuple(
        (key, IMISOUND) for key in (*IMINET, IMINET_FUSION, *TL_IMINET)
    ),
    "Pre-training against none": tuple((key, TL_IMINET[0]) for key in TL_IMINET[1:]),
    "Fusion of the three IMINETs against each": tuple((IMINET_FUSION, key) for key in IMINET),
    "Fusion with IMISOUND against unfused": tuple(
        (f"{key}{FUSED}", key) for key in (*IMINET, IMINET_FUSION, *TL_IMINET)
    ),
}


@dataclass(frozen=True)
class Comparison:
    """One system against another in one category.

    Attributes:
        first: Row key of the system expected to be better.
        second: Row key of the other.
        category: Where they are compared.
        test: Welch's t-test over seeds.
        holm: Its p-value, corrected for all tests of the group; NaN where there is none.
        interval: 95% bootstrap interval over queries of the difference in MRR, each query's
            reciprocal rank averaged over seeds.
    """

    first: str
    second: str
    category: str
    test: TTest
    holm: float
    interval: Interval


def comparisons(study: Study) -> dict[str, list[Comparison]]:
    """Return the comparisons by group; those whose systems were not run are left out."""
    groups = {
        name: [
            _comparison(study, first, second, category)
            for first, second in pairs
            for category in study.categories
            if study.sample(first, category) and study.sample(second, category)
        ]
        for name, pairs in GROUPS.items()
    }
    return {name: _corrected(found) for name, found in groups.items() if found}


def _comparison(study: Study, first: str, second: str, category: str) -> Comparison:
    one, other = study.sample(first, category), study.sample(second, category)
    assert one is not None
    assert other is not None
    test = welch(one, other)
    interval = paired_bootstrap(
        study.per_query(first, category),
        study.per_query(second, category),
        np.random.default_rng(BOOTSTRAP_SEED),
    )
    return Comparison(first, second, category, test, test.p, interval)


def _corrected(found: list[Comparison]) -> list[Comparison]:
    corrected = holm([each.test.p for each in found])
    return [replace(each, holm=p) for each, p in zip(found, corrected, strict=True)]
