"""What a ranking is worth: of the exact target, and of all candidates that are relevant."""

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from vocalsketch.retrieval.ranking import Floats, Ranks, chance_mrr, mid_ranks
from vocalsketch.retrieval.scores import CategoryScores

RECALLED = (1, 5, 10)
MEASURES = ("mrr", "recall@1", "recall@5", "recall@10", "mean_rank", "ndcg", "map")
Relevant = NDArray[np.bool_]

# recall@k, mrr and mean_rank are of the target; ndcg and map of all that is relevant
Measures = TypedDict(
    "Measures",
    {
        "mrr": float,
        "chance": float,
        "recall@1": float,
        "recall@5": float,
        "recall@10": float,
        "mean_rank": float,
        "ndcg": float,
        "ndcg_chance": float,
        "map": float,
    },
)


def measured(category: CategoryScores) -> Ranks:
    """Return every measure of every query, (queries, ``MEASURES``)."""
    ranks = mid_ranks(category.scores, category.targets)
    ndcg, precision = graded(category.scores, category.relevant)
    recalled = [(ranks <= count).astype(np.float64) for count in RECALLED]
    return np.stack([1.0 / ranks, *recalled, ranks, ndcg, precision], axis=1)


def chances(category: CategoryScores) -> tuple[float, float]:
    """Return the MRR and the mean NDCG that random scores reach on average."""
    counts = category.relevant.sum(axis=1)
    gains = _discounts(len(category.candidates))
    expected = counts * gains.mean() / np.cumsum(gains)[counts - 1]
    return chance_mrr(len(gains)), float(expected.mean())


def graded(scores: Floats, relevant: Relevant) -> tuple[Ranks, Ranks]:
    """Return each query's NDCG and average precision.

    Both are averages over all orders of candidates that score the same, so that their order in
    the matrix does not help. NDCG has binary gains and a discount of 1 / log2(rank + 1) down to
    the last rank (the AES AIMLA challenge's; Järvelin and Kekäläinen, TOIS 2002).

    Args:
        scores: (queries, candidates), higher is closer; no NaN.
        relevant: (queries, candidates), at least one of each query.

    Returns:
        Two of (queries,), in (0, 1].

    >>> ndcg, precision = graded(np.array([[0.9, 0.5, 0.1]]), np.array([[False, True, True]]))
    >>> ndcg.round(3), precision.round(3)  # precision (1/2 + 2/3) / 2
    (array([0.693]), array([0.583]))
    """
    order = np.argsort(-scores, axis=1, kind="stable")
    ranked = np.take_along_axis(scores, order, axis=1)
    wanted = np.take_along_axis(relevant, order, axis=1).astype(np.int64)
    place = np.arange(scores.shape[1])
    begins = np.ones(scores.shape, dtype=bool)
    begins[:, 1:] = ranked[:, 1:] != ranked[:, :-1]
    ends = np.roll(begins, -1, axis=1)
    first = np.maximum.accumulate(np.where(begins, place, 0), axis=1)
    last = np.minimum.accumulate(np.where(ends, place, place[-1])[:, ::-1], axis=1)[:, ::-1]
    so_far = np.cumsum(wanted, axis=1)
    before = np.take_along_axis(so_far - wanted, first, axis=1)
    tied_wanted = np.take_along_axis(so_far, last, axis=1) - before
    tied = last - first + 1
    here = tied_wanted / tied  # the chance that what stands at a rank is relevant
    others = (place - first) * (tied_wanted - 1) / np.maximum(tied - 1, 1)
    precision = (before + 1 + others) / (place + 1)  # where it is
    counts = wanted.sum(axis=1)
    gains = _discounts(len(place))
    return here @ gains / np.cumsum(gains)[counts - 1], (here * precision).sum(axis=1) / counts


def mean_measures(values: Sequence[Measures]) -> Measures:
    """Return the unweighted mean over categories of every measure."""
    keys = Measures.__annotations__
    means: Measures = {key: float(np.mean([each[key] for each in values])) for key in keys}  # type: ignore[literal-required,assignment]  # its own keys
    return means


def _discounts(candidates: int) -> Ranks:
    return 1.0 / np.log2(np.arange(2, candidates + 2))
