"""Which sounds a system finds, and which it does not."""

from dataclasses import dataclass

import numpy as np

from vocalsketch.paper.study import Study


@dataclass(frozen=True)
class SoundResult:
    """How well one sound is found.

    Attributes:
        sound: Its id.
        queries: How many imitations of it there are.
        mrr: Their mean reciprocal rank, over seeds too.
    """

    sound: str
    queries: int
    mrr: float


def sound_results(study: Study, key: str, category: str) -> list[SoundResult]:
    """Return the sounds of a category that were asked for, hardest first.

    Args:
        study: The runs.
        key: The row whose runs are looked at.
        category: The category.
    """
    shared = study.reference.categories[study.categories.index(category)]
    of_query = study.per_query(key, category)
    found = [
        SoundResult(
            shared.candidates[target],
            int(np.count_nonzero(shared.targets == target)),
            float(of_query[shared.targets == target].mean()),
        )
        for target in np.unique(shared.targets)
    ]
    return sorted(found, key=lambda each: (each.mrr, each.sound))
