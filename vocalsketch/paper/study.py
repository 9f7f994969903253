"""What the paper's table is made from: finished runs of every system and seed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from vocalsketch.errors import ConfigError
from vocalsketch.paper.published import (
    CANDIDATES,
    CATEGORIES,
    FUSED,
    IMINET,
    IMINET_FUSION,
    IMISOUND,
    TL_IMINET,
)
from vocalsketch.retrieval.fusion import fuse, refuse_different_queries
from vocalsketch.retrieval.ranking import Ranks, chance_mrr
from vocalsketch.retrieval.scores import Scores
from vocalsketch.retrieval.significance import Sample

Rows = Mapping[str, Mapping[int, Scores]]


@dataclass(frozen=True, eq=False)
class Study:
    """Scores of the test half, by row of Table I and seed.

    Attributes:
        rows: Scores by row key (``paper.TABLE_I``) and seed; what was not run is absent.
        yardstick: Scores of the yardstick without learning, where it was measured.
        notes: What a reader must know, such as a shortened schedule or failed cells.

    Raises:
        ConfigError: There is no run, or two were not ranked on the same queries and candidates.
    """

    rows: Rows
    yardstick: Scores | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for other in self._all()[1:]:
            refuse_different_queries(self.reference, other)

    @property
    def reference(self) -> Scores:
        """One of the runs, for what is the same in all."""
        runs = self._all()
        if not runs:
            raise ConfigError("No finished run to report on: run at least one system and seed.")
        return runs[0]

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
    def reciprocal_ranks(self) -> dict[str, dict[str, dict[int, Ranks]]]:
        """Reciprocal ranks (queries,) by row, category and seed."""
        return {
            key: {
                name: {
                    seed: 1.0 / scores.categories[number].ranks
                    for seed, scores in sorted(self.rows[key].items())
                }
                for number, name in enumerate(self.categories)
            }
            for key in self.rows
            if self.rows[key]
        }

    def sample(self, key: str, category: str) -> Sample | None:
        """Return mean and spread over seeds of a row's MRR; None where it was not run."""
        of_row = self.reciprocal_ranks.get(key)
        if of_row is None or category not in of_row:
            return None
        return Sample.of([float(ranks.mean()) for ranks in of_row[category].values()])

    def per_query(self, key: str, category: str) -> Ranks:
        """Return each query's reciprocal rank, its mean over seeds, (queries,)."""
        mean: Ranks = np.mean(list(self.reciprocal_ranks[key][category].values()), axis=0)
        return mean

    @property
    def best(self) -> str | None:
        """The row with the highest mean over categories; None with the yardstick alone."""
        return max(self.reciprocal_ranks, key=self._macro, default=None)

    def _macro(self, key: str) -> float:
        return float(np.mean([self.per_query(key, each).mean() for each in self.categories]))

    def _all(self) -> list[Scores]:
        runs = [scores for of_row in self.rows.values() for scores in of_row.values()]
        return runs if self.yardstick is None else [*runs, self.yardstick]


def with_fusions(rows: Rows) -> dict[str, dict[int, Scores]]:
    """Return the rows and every fusion of Table I that can be made of them.

    Runs are fused with the runs of the same seed (equations 2, 4 and 5), so a fusion has the
    seeds that all of its parts have.
    """
    complete = {key: dict(of_row) for key, of_row in rows.items()}
    plan: list[tuple[str, tuple[str, ...]]] = [(IMINET_FUSION, IMINET)]
    plan += [(f"{key}{FUSED}", (key, IMISOUND)) for key in (*IMINET, IMINET_FUSION, *TL_IMINET)]
    for name, parts in plan:
        found = [complete.get(part, {}) for part in parts]
        seeds = set(found[0]).intersection(*found[1:])
        if seeds:
            complete[name] = {
                seed: replace(fuse([part[seed] for part in found]), system=name)
                for seed in sorted(seeds)
            }
    return complete
