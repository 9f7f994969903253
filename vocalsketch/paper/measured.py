"""What the report is made from: finished runs of every row and seed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from vocalsketch.errors import ConfigError
from vocalsketch.paper.rows import CANDIDATES, CATEGORIES, ROWS
from vocalsketch.retrieval.ranking import Ranks, chance_mrr
from vocalsketch.retrieval.scores import Scores, fuse, refuse_different_queries
from vocalsketch.retrieval.significance import Sample

Runs = Mapping[str, Mapping[int, Scores]]


@dataclass(frozen=True, eq=False)
class Measured:
    """Scores of the test half, by row and seed.

    Attributes:
        runs: Scores by key (``rows.ROWS``, or a name that a user gave) and seed; what was not run
            is absent.
        notes: What a reader must know, such as a shortened schedule or failed runs.

    Raises:
        ConfigError: Two were not ranked on the same queries and candidates.
    """

    runs: Runs
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
    def reciprocal_ranks(self) -> dict[str, dict[str, dict[int, Ranks]]]:
        """Reciprocal ranks (queries,) by row, category and seed."""
        return {
            key: {
                name: {
                    seed: 1.0 / scores.categories[number].ranks
                    for seed, scores in sorted(by_seed.items())
                }
                for number, name in enumerate(self.categories)
            }
            for key, by_seed in self.runs.items()
            if by_seed
        }

    def sample(self, key: str, category: str) -> Sample | None:
        """Return mean and spread over seeds of a row's MRR; None where it was not run."""
        by_seed = self.reciprocal_ranks.get(key, {}).get(category)
        return Sample.of([float(r.mean()) for r in by_seed.values()]) if by_seed else None

    def per_query(self, key: str, category: str) -> Ranks:
        """Return each query's reciprocal rank, its mean over seeds, (queries,)."""
        mean: Ranks = np.mean(list(self.reciprocal_ranks[key][category].values()), axis=0)
        return mean

    @property
    def strongest(self) -> str:
        """The row with the highest mean over categories."""

        def macro(key: str) -> float:
            return float(np.mean([self.per_query(key, each).mean() for each in self.categories]))

        return max(self.reciprocal_ranks, key=macro)

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
