"""What is printed and saved of an evaluated half: measures per category, every query's rank."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from rich.table import Table

from vocalsketch.domain import Half
from vocalsketch.errors import VocalSketchError
from vocalsketch.files import write_table, write_text
from vocalsketch.retrieval.ranking import MEASURES, Floats, chances, measured
from vocalsketch.retrieval.scores import Scores
from vocalsketch.retrieval.significance import resampled_means

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
    graded = results["split_name"] in GRADED
    table = Table(
        title=f"{results['system']}, {results['half']} half\n{corpus_tag(results['corpus'])}",
        caption=_caption(results),
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


def _caption(results: Results) -> str:
    over = results["macro"]["intervals"]["mrr"]
    bounds = [f"{low:.3f} to {high:.3f}" for low, high in (over["queries"], over["targets"])]
    said = f"95 % of the mean MRR: {bounds[0]} over queries, {bounds[1]} over targets"
    skipped = len(results["skipped"])
    return said + (f"\n{skipped} unreadable files were skipped" if skipped else "")


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
