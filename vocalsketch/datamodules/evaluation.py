"""The half of a corpus that is ranked: who asks, what for, and among which candidates."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from vocalsketch.datamodules.pairing import Pairs
from vocalsketch.datasets.records import Imitation, Sound
from vocalsketch.domain import Half, Indices


@dataclass(frozen=True, eq=False)
class EvaluationSet:
    """Queries and candidates of the validation or the test half.

    Attributes:
        half: ``validation`` (validation imitations among the development sounds) or ``test``.
        corpus: Name of the corpus.
        split_name: Name of the split.
        split: Fingerprint of the split.
        imitations: The queries, one per row.
        sounds: The candidates, one per row.
        targets: (queries,), the row of each query's target among the candidates.
        pairs: Pairs on which the loss is measured.
        skipped: Files left out of the corpus because they could not be used.
    """

    half: Half
    corpus: str
    split_name: str
    split: str
    imitations: tuple[Imitation, ...]
    sounds: tuple[Sound, ...]
    targets: Indices
    pairs: Pairs
    skipped: tuple[str, ...] = ()

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
