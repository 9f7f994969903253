"""What the report is made from: finished runs of every row and seed, and Table I of them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from pandas import DataFrame

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
from vocalsketch.retrieval.ranking import Ranks, chance_mrr
from vocalsketch.retrieval.scores import Scores, fuse, refuse_different_queries
from vocalsketch.retrieval.significance import Sample, mean_and_deviation

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
        for other in self._all()[1:]:
            refuse_different_queries(self.reference, other)

    @property
    def reference(self) -> Scores:
        """One of the runs, for what is the same in all.

        Raises:
            ConfigError: There is no run.
        """
        scores = self._all()
        if not scores:
            raise ConfigError("No finished run to report on: run at least one system and seed.")
        return scores[0]

    @property
    def categories(self) -> tuple[str, ...]:
        """The corpus's categories."""
        return tuple(each.category for each in self.reference.categories)

    @property
    def chance(self) -> dict[str, float]:
        """The MRR of random scores in each category."""
        return {
            each.category: chance_mrr(len(each.candidates)) for each in self.reference.categories
        }

    @property
    def comparable(self) -> bool:
        """Whether the categories have the paper's names and numbers of candidates."""
        sizes = {each.category: len(each.candidates) for each in self.reference.categories}
        paper = dict(zip(CATEGORIES, CANDIDATES, strict=True))
        return self.reference.corpus == "vocalsketch" and sizes == paper

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

    def _all(self) -> list[Scores]:
        return [scores for by_seed in self.runs.values() for scores in by_seed.values()]


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


COLUMNS = (
    *("corpus", "row", "block", "label", "category", "mean", "std", "seeds", "best"),
    *("paper_mean", "paper_std", "difference", "chance"),
)


def scores_of(run: Path) -> Scores:
    """Return the scores of the test half that a run folder, or a file, holds.

    Raises:
        StorageError: There are none, or they are damaged.
    """
    return Scores.load(run / "scores_test.npz" if run.is_dir() else run)


def rows_to_add(given: Sequence[str]) -> dict[str, list[str]]:
    """Return the runs of ``NAME=RUN`` by the name of their row; of each one or more seeds.

    Raises:
        ConfigError: One is not of that form, or the name is a row's of the program.
        StorageError: A run has no scores.
    """
    added: dict[str, list[str]] = {}
    for each in given:
        name, _, run = each.partition("=")
        if not name or not run or row_of(name).block != ADDED:
            raise ConfigError(
                f"--add is {each!r}: give NAME=RUN_FOLDER, with a name that no row has yet."
            )
        scores_of(Path(run))
        added.setdefault(name, []).append(str(Path(run).resolve()))
    return added


def refuse_another_split(added: Mapping[str, Sequence[str]], split: str) -> None:
    """Check, before hours of runs, that what is added can stand beside runs of this split.

    Raises:
        ConfigError: A run ranked another split.
    """
    for name, path in ((name, path) for name, paths in added.items() for path in paths):
        theirs = scores_of(Path(path)).split
        if theirs != split:
            raise ConfigError(
                f"--add {name}={path}: it ranked split {theirs!r}, the report is of split "
                f"{split!r}: evaluate it on this report's split.json."
            )


def table(measured: Measured) -> DataFrame:
    """Return a line per row and category: the paper's 17 rows, then the others that were run.

    ``mean`` and ``std`` are of the MRR over ``seeds`` runs, NaN where there are none (``std`` of
    one is NaN too); ``difference`` is the measured minus the printed mean. ``best`` marks the
    highest mean, as printed, of a block and category of which more than one row was run.
    """
    keys = [row.key for row in TABLE_I]
    rows = [row_of(key) for key in (*keys, *(key for key in measured.runs if key not in keys))]
    frame = DataFrame(
        [_line(measured, row, category) for row in rows for category in measured.categories],
        columns=list(COLUMNS),
    )
    of_block = frame["mean"].round(3).groupby([frame["block"], frame["category"]])
    frame["best"] = (frame["mean"].round(3) == of_block.transform("max")) & (
        of_block.transform("count") > 1
    )
    return frame


def shown(frame: DataFrame, *, brief: bool = False) -> tuple[DataFrame, DataFrame]:
    """Return the blocks of which something was run as text, and which cells are the best.

    Args:
        frame: What ``table`` returns.
        brief: Without the paper's deviation.

    Returns:
        Two frames with a line per (block, label) and a column per category: texts whose second
        line, where there is one, is the paper's value and the difference; and booleans.
    """
    run = frame[frame["seeds"].groupby(frame["block"]).transform("sum") > 0]
    run = run.assign(text=[_text(line, brief=brief) for line in run.to_dict("records")])
    texts, best = (
        run.pivot_table(
            index=["block", "label"], columns="category", values=value, aggfunc="first", sort=False
        )
        for value in ("text", "best")
    )
    for each in (texts, best):
        each.columns.name = None
        each.index.names = [None, None]
    return texts, best


def _line(measured: Measured, row: Row, category: str) -> tuple[object, ...]:
    none = Sample(math.nan, math.nan, 0)
    here = measured.sample(row.key, category) or none
    paper = printed_sample(row.key, category) or none
    place = (measured.reference.corpus, row.key, row.block, row.label, category)
    values = (here.mean, here.std, here.count, False, paper.mean, paper.std)
    return (*place, *values, here.mean - paper.mean, measured.chance[category])


def _text(line: dict[str, float], *, brief: bool) -> str:
    here = mean_and_deviation(line["mean"], line["std"])
    if pd.isna(line["paper_mean"]):
        return here
    paper = mean_and_deviation(line["paper_mean"], math.nan if brief else line["paper_std"])
    difference = "" if pd.isna(line["difference"]) else f", {line['difference']:+.3f}"
    return f"{here}\n{paper}{difference}"
