"""Whether a difference in MRR is more than luck: t-tests, Holm's correction, the bootstrap."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ttest_ind_from_stats

from vocalsketch.retrieval.ranking import Floats


@dataclass(frozen=True)
class Sample:
    """A system's MRR over initialisations."""

    mean: float
    std: float  # of the sample (divided by count - 1); NaN for one alone
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Sample":
        """Summarise at least one value."""
        std = statistics.stdev(values) if len(values) > 1 else math.nan
        return cls(statistics.fmean(values), std, len(values))


class TTest(NamedTuple):
    """An unpaired t-test of two systems' MRR over initialisations."""

    difference: float  # mean of the first minus mean of the second
    statistic: float  # Student's t; NaN where there is no test
    p: float  # two-sided; NaN where a side has fewer than two values, or neither varies


class Interval(NamedTuple):
    """A difference and its percentile bootstrap interval."""

    difference: float
    low: float
    high: float


def welch(first: Sample, second: Sample) -> TTest:
    """Test whether two systems' MRRs have the same mean, without assuming equal variances.

    The paper (section VI-E) makes unpaired t-tests over 10 initialisations of each system.
    """
    difference = first.mean - second.mean
    if min(first.count, second.count) < 2 or first.std == second.std == 0:
        return TTest(difference, math.nan, math.nan)
    sides = (first.mean, first.std, first.count, second.mean, second.std, second.count)
    statistic, p = ttest_ind_from_stats(*sides, equal_var=False)
    return TTest(difference, float(statistic), float(p))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for testing all of them (Holm, 1979), in the order given.

    The smallest is multiplied by their number, the next by one less, and so on; none becomes
    smaller than one before it. NaN stays NaN and does not count.
    """
    corrected = list(p_values)
    order = sorted((p, place) for place, p in enumerate(p_values) if not math.isnan(p))
    largest = 0.0
    for done, (p, place) in enumerate(order):
        largest = max(largest, min(1.0, p * (len(order) - done)))
        corrected[place] = largest
    return corrected


def mean_and_deviation(mean: float, std: float) -> str:
    """Return both as the paper prints them.

    >>> mean_and_deviation(0.4254, 0.0151), mean_and_deviation(0.5, math.nan)
    ('0.425 ± 0.015', '0.500')
    >>> mean_and_deviation(math.nan, math.nan)
    'not run'
    """
    if math.isnan(mean):
        return "not run"
    return f"{mean:.3f}" + ("" if math.isnan(std) else f" ± {std:.3f}")


def resampled_means(
    values: Floats,
    groups: NDArray[np.integer],
    generator: np.random.Generator,
    resamples: int = 1_000,
) -> Floats:
    """Return the means of values (queries, measures) in sets drawn with replacement.

    Whole groups are drawn at a time: ``groups`` (queries,) says of each query to which it belongs,
    to its own or to its target, whose queries are hard or easy together.

    Returns:
        (resamples, measures).
    """
    _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    sums = np.zeros((len(sizes), values.shape[1]))
    np.add.at(sums, group, values)
    drawn = generator.multinomial(len(sizes), np.full(len(sizes), 1 / len(sizes)), resamples)
    means: Floats = (drawn @ sums) / (drawn @ sizes)[:, None]
    return means


def paired_bootstrap(
    first: Floats,
    second: Floats,
    generator: np.random.Generator,
    resamples: int = 10_000,
) -> Interval:
    """Return the difference in MRR of two systems and its 95 % interval over the queries.

    Queries are drawn with replacement, both systems' reciprocal ranks of a query together.

    Both are (queries,), of the same queries in the same order: reciprocal ranks, or their means
    over initialisations.
    """
    if first.shape != second.shape or first.ndim != 1 or not first.size:
        raise ValueError(f"need reciprocal ranks of the same queries: {first.shape} {second.shape}")
    gains = np.asarray(first - second, dtype=np.float64)
    draws = generator.integers(0, len(gains), (resamples, len(gains)))
    low, high = np.quantile(gains[draws].mean(axis=1), [0.025, 0.975])
    return Interval(float(gains.mean()), float(low), float(high))
