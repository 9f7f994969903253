"""What is printed and saved of an evaluated half: MRR per category, and every query's rank."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

import numpy as np
from rich.table import Table

from vocalsketch.domain import Half
from vocalsketch.errors import VocalSketchError
from vocalsketch.files import write_text, written_whole
from vocalsketch.retrieval.ranking import chance_mrr, mean_reciprocal_rank
from vocalsketch.retrieval.scores import CategoryScores, Scores

FORMAT = 1  # of the JSON; raised when a key changes its meaning
COLUMNS = ("query", "target", "category", "rank", "score", "candidates")


class CategoryResult(TypedDict):
    """One category: how many queries and candidates, the MRR, and what random scores reach."""

    queries: int
    candidates: int
    mrr: float
    chance: float


class MacroResult(TypedDict):
    """The unweighted mean over categories."""

    mrr: float
    chance: float


class Results(TypedDict):
    """The contents of ``results.json``.

    ``split`` is the split's fingerprint, ``split_name`` how it was made, ``system`` what was
    evaluated, ``skipped`` the files left out because they could not be read.
    """

    format: int
    corpus: str
    split: str
    split_name: str
    half: Half
    system: str
    categories: dict[str, CategoryResult]
    macro: MacroResult
    skipped: list[str]


def corpus_tag(corpus: str) -> str:
    """Return how every result names its corpus; the demo corpus says what it is.

    >>> corpus_tag("vocalsketch")
    'corpus=vocalsketch'
    """
    synthetic = " (synthetic; not comparable with the paper)" if corpus == "demo" else ""
    return f"corpus={corpus}{synthetic}"


def results_dict(scores: Scores, skipped: Sequence[str] = ()) -> Results:
    """Return the MRR and chance of each category and their unweighted mean.

    Args:
        scores: The scores of one half; every category needs a query.
        skipped: The files left out of the corpus because they could not be read.

    Raises:
        VocalSketchError: There is no category, one has no query, or a score is NaN.
    """
    if not scores.categories:
        raise VocalSketchError(f"No category in the {scores.half} half: there is nothing to rank.")
    categories = {each.category: _category_result(each) for each in scores.categories}
    return {
        "format": FORMAT,
        "corpus": scores.corpus,
        "split": scores.split,
        "split_name": scores.split_name,
        "half": scores.half,
        "system": scores.system,
        "categories": categories,
        "macro": {
            "mrr": float(np.mean([each["mrr"] for each in categories.values()])),
            "chance": float(np.mean([each["chance"] for each in categories.values()])),
        },
        "skipped": list(skipped),
    }


def write_results(folder: Path, scores: Scores, skipped: Sequence[str] = ()) -> list[Path]:
    """Write what one half came to, each file whole or not at all.

    ``results_<half>.json`` is ``results_dict``, ``queries_<half>.csv`` has a line per query,
    ``scores_<half>.npz`` is ``Scores.save``; ``results.json`` is the half evaluated last.

    Returns:
        The four paths, ``results.json`` first.

    Raises:
        StorageError: A file cannot be written.
        VocalSketchError: As ``results_dict``.
    """
    text = json.dumps(results_dict(scores, skipped), indent=2) + "\n"
    latest, own = folder / "results.json", folder / f"results_{scores.half}.json"
    queries, matrix = folder / f"queries_{scores.half}.csv", folder / f"scores_{scores.half}.npz"
    _write_queries(queries, scores)
    scores.save(matrix)
    for path in (latest, own):  # last: who finds them takes the half for done
        write_text(path, text)
    return [latest, own, queries, matrix]


def results_table(results: Results) -> Table:
    """Return category x (queries, candidates, MRR, chance, ratio to chance), to be printed."""
    skipped = len(results["skipped"])
    table = Table(
        title=f"{results['system']}, {results['half']} half\n{corpus_tag(results['corpus'])}",
        caption=f"{skipped} unreadable files were skipped" if skipped else None,
    )
    table.add_column("category")
    for name in ("queries", "candidates", "MRR", "chance", "x chance"):
        table.add_column(name, justify="right")
    for name, row in results["categories"].items():
        counts = (str(row["queries"]), str(row["candidates"]))
        table.add_row(name, *counts, *_figures(row["mrr"], row["chance"]))
    table.add_section()
    macro = results["macro"]
    table.add_row("macro mean", "", "", *_figures(macro["mrr"], macro["chance"]))
    return table


def _category_result(category: CategoryScores) -> CategoryResult:
    if not category.queries:
        raise VocalSketchError(
            f"No query in category {category.category!r}: leave it out, or add imitations."
        )
    return {
        "queries": len(category.queries),
        "candidates": len(category.candidates),
        "mrr": mean_reciprocal_rank(category.scores, category.targets),
        "chance": chance_mrr(len(category.candidates)),
    }


def _write_queries(path: Path, scores: Scores) -> None:
    # surrogateescape: a file name that is no UTF-8 comes back as the bytes it is.
    with (
        written_whole(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="") as handle,
    ):
        writer = csv.writer(handle)
        writer.writerow(COLUMNS)
        for category in scores.categories:
            own = category.scores[np.arange(len(category.targets)), category.targets]
            for query, target, rank, score in zip(
                category.queries, category.targets, category.ranks, own, strict=True
            ):
                name = category.candidates[target]
                candidates = len(category.candidates)
                writer.writerow(
                    (query, name, category.category, f"{rank:g}", float(score), candidates)
                )


def _figures(mrr: float, chance: float) -> tuple[str, str, str]:
    return f"{mrr:.3f}", f"{chance:.3f}", f"{mrr / chance:.2f}"
