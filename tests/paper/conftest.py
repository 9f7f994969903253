"""Made-up runs whose ranks are known."""

import numpy as np
import pytest

from vocalsketch.retrieval.scores import CategoryScores, Scores


@pytest.fixture(scope="session")
def ranked():
    """A maker of scores in which the targets have the ranks given, by category."""

    def make(ranks, system="iminet_tied", kind="logit", corpus="demo", candidates=4, split="abc"):
        categories = []
        for category, of_queries in ranks.items():
            # Candidate 0 is every query's target; the scores of the others are 1, 2, 3, ...
            scores = np.tile(np.arange(candidates, dtype=float), (len(of_queries), 1))
            scores[:, 0] = candidates - np.array(of_queries) + 0.5
            categories.append(
                CategoryScores(
                    category,
                    tuple(f"{category} {n}.wav" for n in range(len(of_queries))),
                    tuple(f"{category}_{n}.wav" for n in range(candidates)),
                    np.arange(len(of_queries)) * 0,
                    scores,
                )
            )
        return Scores(kind, corpus, split, "paper", "test", system, tuple(categories))

    return make
