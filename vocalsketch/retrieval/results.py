"""What is printed and saved of an evaluated half, and whether a difference is more than luck.

That is measures per category and every query's rank; t-tests, Holm's correction, the bootstrap.
"""

import json
import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

import numpy as np
from numpy.typing import NDArray
from rich.table import Table
from scipy.stats import ttest_ind_from_stats

from vocalsketch.domain import Half
from vocalsketch.errors import VocalSketchError
from vocalsketch.files import write_table, write_text
from vocalsketch.retrieval.scores import MEASURES, Floats, Scores, chances, measured

FORMAT = 1  # of the JSON; raised when a key changes its meaning
GRADED = ("qvim",)  # protocols that ask for NDCG over classes beside the MRR
COLUMNS = ("query", "target", "category", "rank", "score", "candidates")

# every measure by name, ``chance`` and ``ndcg_chance``; ``queries`` and ``candidates`` of a
# category; and ``intervals``: of each measure, the bounds of 95 % over the choice of queries and
# over that of targets
Result = dict[str, Any]


class Results(TypedDict):
    """The contents of ``results.json``."""

    format: int
    corpus: str
    split: str  # its fingerprint
    split_name: str  # how it was made
    half: Half
    system: str  # what was evaluated
    categories: dict[str, Result]
    macro: Result  # the unweighted means over categories
    skipped: list[str]  # files left out because they could not be read


def corpus_tag(corpus: str) -> str:
    """Return how every result names its corpus; the demo corpus says what it is.

    >>> corpus_tag("vocalsketch")
    'corpus=vocalsketch'
    """
    synthetic = " (synthetic; not comparable with the paper)" if corpus == "demo" else ""
    return f"corpus={corpus}{synthetic}"


def results_dict(scores: Scores, skipped: Sequence[str] = ()) -> Results:
    """Return the measures and chance of each category and their unweighted means.

    ``skipped`` are the files left out of the corpus because they could not be read.

    Raises:
        VocalSketchError: There is no category, one has no query, or a score is NaN.
    """
    if not scores.categories:
        raise VocalSketchError(f"No category in the {scores.half} half: there is nothing to rank.")
    draws, categories = [], {}
    for each in scores.categories:
        if not each.queries:
            raise VocalSketchError(
                f"No query in category {each.category!r}: leave it out, or add imitations."
            )
        values = measured(each)
        generator, groups = np.random.default_rng(0), (np.arange(len(values)), each.targets)
        draws.append([resampled_means(values, group, generator) for group in groups])
        chance, ndcg_chance = chances(each)
        categories[each.category] = {
            "queries": len(each.queries),
            "candidates": len(each.candidates),
            **dict(zip(MEASURES, values.mean(axis=0).tolist(), strict=True)),
            "chance": chance,
            "ndcg_chance": ndcg_chance,
            "intervals": _intervals(np.array(draws[-1])),
        }
    return {
        "format": FORMAT,
        "corpus": scores.corpus,
        "split": scores.split,
        "split_name": scores.split_name,
        "half": scores.half,
        "system": scores.system,
        "categories": categories,
        "macro": {
            **{
                key: float(np.mean([each[key] for each in categories.values()]))
                for key in (*MEASURES, "chance", "ndcg_chance")
            },
            "intervals": _intervals(np.mean(draws, axis=0)),
        },
        "skipped": list(skipped),
    }


def write_results(folder: Path, scores: Scores, results: Results) -> None:
    """Write what one half came to, each file whole or not at all.

    ``results_<half>.json`` are the results, ``queries_<half>.csv`` has a line per query,
    ``scores_<half>.npz`` is ``Scores.save``; ``results.json`` is the half evaluated last.
    """
    write_table(folder / f"queries_{scores.half}.csv", COLUMNS, _query_rows(scores))
    scores.save(folder / f"scores_{scores.half}.npz")
    for name in ("results", f"results_{scores.half}"):  # last: who finds them takes it for done
        write_text(folder / f"{name}.json", json.dumps(results, indent=2) + "\n")


def results_table(results: Results) -> Table:
    """Return category x (queries, candidates, MRR, chance, ratio to chance), to be printed.

    Under the protocols that ask for it NDCG and its chance follow.
    """
    graded, skipped = results["split_name"] in GRADED, len(results["skipped"])
    over = results["macro"]["intervals"]["mrr"]
    bounds = [f"{low:.3f} to {high:.3f}" for low, high in (over["queries"], over["targets"])]
    said = f"95 % of the mean MRR: {bounds[0]} over queries, {bounds[1]} over targets"
    table = Table(
        title=f"{results['system']}, {results['half']} half\n{corpus_tag(results['corpus'])}",
        caption=said + (f"\n{skipped} unreadable files were skipped" if skipped else ""),
    )
    table.add_column("category")
    ndcg = ("NDCG", "chance") if graded else ()
    for name in ("queries", "candidates", "MRR", "chance", "x chance", *ndcg):
        table.add_column(name, justify="right")
    for name, row in results["categories"].items():
        counts = (str(row["queries"]), str(row["candidates"]))
        table.add_row(name, *counts, *_figures(row, graded=graded))
    table.add_section()
    table.add_row("macro mean", "", "", *_figures(results["macro"], graded=graded))
    return table


def _intervals(draws: Floats) -> dict[str, dict[str, list[float]]]:
    """Return bounds of (2, resamples, measures): over queries, and over targets."""
    queries, targets = np.quantile(draws, [0.025, 0.975], axis=1).transpose(1, 2, 0).tolist()
    return {name: {"queries": queries[n], "targets": targets[n]} for n, name in enumerate(MEASURES)}


def _query_rows(scores: Scores) -> Iterator[tuple[object, ...]]:
    for category in scores.categories:
        own = category.scores[np.arange(len(category.targets)), category.targets]
        for query, target, rank, score in zip(
            category.queries, category.targets, category.ranks, own, strict=True
        ):
            name, candidates = category.candidates[target], len(category.candidates)
            yield query, name, category.category, f"{rank:g}", float(score), candidates


def _figures(row: Result, *, graded: bool) -> list[str]:
    mrr, chance = row["mrr"], row["chance"]
    shown = [f"{mrr:.3f}", f"{chance:.3f}", f"{mrr / chance:.2f}"]
    return [*shown, f"{row['ndcg']:.3f}", f"{row['ndcg_chance']:.3f}"] if graded else shown


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
