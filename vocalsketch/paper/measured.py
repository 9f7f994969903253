"""What the report is made from: finished runs of every row and seed, and Table I of them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from pandas import DataFrame, concat, isna

from vocalsketch.errors import ConfigError
from vocalsketch.paper.rows import (
    ADDED,
    CANDIDATES,
    CATEGORIES,
    ROWS,
    TABLE_I,
    Row,
    printed_sample,
    row_of,
)
from vocalsketch.retrieval.results import Sample, mean_and_deviation
from vocalsketch.retrieval.scores import Ranks, Scores, chance_mrr, fuse, refuse_different_queries

Runs = Mapping[str, Mapping[int, Scores]]


@dataclass(frozen=True, eq=False)
class Measured:
    """Scores of the test half, by row and seed.

    Raises:
        ConfigError: Two were not ranked on the same queries and candidates.
    """

    # scores by key (``rows.ROWS``, or a name that a user gave) and seed; what was not run is absent
    runs: Runs
    # what a reader must know, such as a shortened schedule or failed runs
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for scores in (each for by_seed in self.runs.values() for each in by_seed.values()):
            refuse_different_queries(self.reference, scores)

    @property
    def reference(self) -> Scores:
        """One of the runs, for what is the same in all.

        Raises:
            ConfigError: There is no run.
        """
        for by_seed in self.runs.values():
            for scores in by_seed.values():
                return scores
        raise ConfigError("No finished run to report on: run at least one system and seed.")

    @property
    def sizes(self) -> dict[str, int]:
        """How many candidates each category has."""
        return {each.category: len(each.candidates) for each in self.reference.categories}

    @property
    def categories(self) -> tuple[str, ...]:
        """The corpus's categories."""
        return tuple(self.sizes)

    @property
    def chance(self) -> dict[str, float]:
        """The MRR of random scores in each category."""
        return {category: chance_mrr(size) for category, size in self.sizes.items()}

    @property
    def comparable(self) -> bool:
        """Whether the categories have the paper's names and numbers of candidates."""
        paper = dict(zip(CATEGORIES, CANDIDATES, strict=True))
        return self.reference.corpus == "vocalsketch" and self.sizes == paper

    @cached_property
    def reciprocal_ranks(self) -> dict[str, dict[str, Ranks]]:
        """Reciprocal ranks (seeds, queries) by row and category."""
        return {
            key: {
                name: np.stack([1.0 / by_seed[n].categories[number].ranks for n in sorted(by_seed)])
                for number, name in enumerate(self.categories)
            }
            for key, by_seed in self.runs.items()
            if by_seed
        }

    def sample(self, key: str, category: str) -> Sample | None:
        """Return mean and spread over seeds of a row's MRR; None where it was not run."""
        ranks = self.reciprocal_ranks.get(key, {}).get(category)
        return None if ranks is None else Sample.of(ranks.mean(axis=1).tolist())

    def per_query(self, key: str, category: str) -> Ranks:
        """Return each query's reciprocal rank, its mean over seeds, (queries,)."""
        mean: Ranks = self.reciprocal_ranks[key][category].mean(axis=0)
        return mean

    @property
    def strongest(self) -> str:
        """The row with the highest mean over categories."""
        ranks = self.reciprocal_ranks
        return max(ranks, key=lambda key: np.mean([each.mean() for each in ranks[key].values()]))

    def per_sound(self, key: str, category: str) -> list[tuple[str, int, float]]:
        """Return (sound, queries, MRR over these and seeds) of each target, hardest first."""
        shared = self.reference.categories[self.categories.index(category)]
        of_query = self.per_query(key, category)
        found = [
            (shared.candidates[target], int(asked.sum()), float(of_query[asked].mean()))
            for target in np.unique(shared.targets)
            for asked in [shared.targets == target]
        ]
        return sorted(found, key=lambda each: (each[2], each[0]))


def with_fusions(runs: Runs) -> dict[str, dict[int, Scores]]:
    """Return the runs and every fusion among ``ROWS`` that can be made of them.

    Runs are fused with the runs of the same seed (equations 2, 4 and 5), so a fusion has the
    seeds that all of its parts have.
    """
    complete = {key: dict(by_seed) for key, by_seed in runs.items()}
    for row in ROWS:
        parts = [complete.get(part, {}) for part in row.fused]
        seeds = set(parts[0]).intersection(*parts[1:]) if parts else set()
        if seeds:
            complete[row.key] = {
                seed: replace(fuse([part[seed] for part in parts]), system=row.key)
                for seed in sorted(seeds)
            }
    return complete


def scores_of(run: Path) -> Scores:
    """Return the scores of the test half that a run folder, or a file, holds."""
    return Scores.load(run / "scores_test.npz" if run.is_dir() else run)


def rows_to_add(given: Sequence[str], split: str = "") -> dict[str, list[str]]:
    """Return the runs of ``NAME=RUN`` by the name of their row; of each one or more seeds.

    Raises:
        ConfigError: One is not of that form, the name is a row's of the program, or the run ranked
            another split than ``split``.
        StorageError: A run has no scores.
    """
    added: dict[str, list[str]] = {}
    for each in given:
        name, _, run = each.partition("=")
        if not name or not run or row_of(name).block != ADDED:
            raise ConfigError(
                f"--add is {each!r}: give NAME=RUN_FOLDER, with a name that no row has yet."
            )
        theirs = scores_of(Path(run)).split
        if split and theirs != split:
            raise ConfigError(
                f"--add {each}: it ranked split {theirs!r}, the report is of split {split!r}: "
                "evaluate it on this report's split.json."
            )
        added.setdefault(name, []).append(str(Path(run).resolve()))
    return added


def table(measured: Measured) -> DataFrame:
    """Return a line per row and category: the paper's 17 rows, then the others that were run.

    ``mean`` and ``std`` are of the MRR over ``seeds`` runs, NaN where there are none (``std`` of
    one is NaN too); ``difference`` is the measured minus the printed mean. ``best`` marks the
    highest mean, as printed, of a block and category of which more than one row was run.
    """
    keys = [row.key for row in TABLE_I]
    rows = [row_of(key) for key in (*keys, *(key for key in measured.runs if key not in keys))]
    lines = [_line(measured, row, category) for row in rows for category in measured.categories]
    frame = DataFrame(lines)
    printed = frame["mean"].round(3)
    of_block = printed.groupby([frame["block"], frame["category"]])
    frame["best"] = (printed == of_block.transform("max")) & (of_block.transform("count") > 1)
    return frame


def shown(frame: DataFrame) -> tuple[DataFrame, DataFrame]:
    """Return the blocks of which something was run as text, and which cells are the best.

    Returns:
        Two frames with a line per (block, label), the last for random scores, and a column per
        category: texts whose second line, where there is one, is the paper's value and the
        difference; and booleans.
    """
    run = frame[frame["seeds"].groupby(frame["block"]).transform("sum") > 0]
    run = run.assign(text=[_text(line) for line in run.to_dict("records")])
    chance = frame.drop_duplicates("category").assign(block="", label="Chance", best=False)
    chance["text"] = chance["chance"].map("{:.3f}".format)
    texts, best = (
        concat([run, chance]).pivot_table(
            index=["block", "label"], columns="category", values=value, aggfunc="first", sort=False
        )
        for value in ("text", "best")
    )
    for each in (texts, best):
        each.columns.name = None
        each.index.names = [None, None]
    return texts, best


def _line(measured: Measured, row: Row, category: str) -> dict[str, object]:
    none = Sample(math.nan, math.nan, 0)
    here = measured.sample(row.key, category) or none
    paper = printed_sample(row.key, category) or none
    place = {"row": row.key, "block": row.block, "label": row.label, "category": category}
    found = {"mean": here.mean, "std": here.std, "seeds": here.count, "best": False}
    printed = {"paper_mean": paper.mean, "paper_std": paper.std}
    beside = {"difference": here.mean - paper.mean, "chance": measured.chance[category]}
    return {"corpus": measured.reference.corpus, **place, **found, **printed, **beside}


def _text(line: dict[str, float]) -> str:
    here = mean_and_deviation(line["mean"], line["std"])
    if isna(line["paper_mean"]):
        return here
    difference = "" if isna(line["difference"]) else f", {line['difference']:+.3f}"
    return f"{here}\n{mean_and_deviation(line['paper_mean'], line['paper_std'])}{difference}"
