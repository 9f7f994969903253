"""The half of a corpus that is ranked: who asks, what for, and among which candidates."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from vocalsketch.datamodules.pairing import Pairs
from vocalsketch.datasets.records import Imitation, Sound
from vocalsketch.domain import Half, Indices


@dataclass(frozen=True, eq=False)
class EvaluationSet:
    """Queries and candidates of the validation or the test half."""

    half: Half  # validation (validation imitations among the development sounds) or test
    corpus: str  # name of the corpus
    split_name: str  # name of the split
    split: str  # fingerprint of the split
    imitations: tuple[Imitation, ...]  # the queries, one per row
    sounds: tuple[Sound, ...]  # the candidates, one per row
    targets: Indices  # (queries,), the row of each query's target among the candidates
    pairs: Pairs  # pairs on which the loss is measured
    skipped: tuple[str, ...] = ()  # files left out of the corpus because they could not be used

    def categories(self) -> Iterator[tuple[str, Indices, Indices]]:
        """Yield each category's name, rows of its queries and rows of its candidates."""
        of_sounds = np.array([sound.category for sound in self.sounds])
        of_queries = of_sounds[self.targets]
        for category in sorted(set(of_sounds[self.targets])):
            yield (
                str(category),
                np.flatnonzero(of_queries == category),
                np.flatnonzero(of_sounds == category),
            )
