"""The rank of each query's target, and what a ranking is worth (paper, section VI-B, equation 1).

Of the exact target the reciprocal rank, recall and mean rank; of all that is relevant NDCG and
average precision.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vocalsketch.errors import VocalSketchError

if TYPE_CHECKING:
    from vocalsketch.retrieval.scores import CategoryScores

Floats = NDArray[np.floating]
Ranks = NDArray[np.float64]
RECALLED = (1, 5, 10)
# recall@k, mrr and mean_rank are of the target; ndcg and map of all that is relevant
MEASURES = ("mrr", "recall@1", "recall@5", "recall@10", "mean_rank", "ndcg", "map")


def check_targets(scores: Floats, targets: NDArray[np.integer]) -> None:
    """Check that scores (queries, candidates) and targets (queries,) fit together."""
    if scores.ndim != 2 or targets.shape != scores.shape[:1]:
        raise ValueError(
            "scores must be (queries, candidates) and targets (queries,), "
            f"got {scores.shape} and {targets.shape}"
        )
    outside = (targets < 0) | (targets >= scores.shape[1])
    if outside.any():
        raise ValueError(f"target {targets[outside][0]} is not among {scores.shape[1]} candidates")


def mid_ranks(scores: Floats, targets: NDArray[np.integer]) -> Ranks:
    """Return the rank of each query's target among all candidates; 1 is the best.

    Candidates that score the same as the target share the middle of the ranks that they take
    together, so neither their order nor a constant score helps: a model that scores all of N
    candidates alike is given rank (N + 1) / 2.

    Args:
        scores: (queries, candidates), higher is closer; infinities are allowed.
        targets: (queries,), the target's index among the candidates.

    Returns:
        (queries,) float64, whole or half numbers from 1 to ``candidates``.

    Raises:
        VocalSketchError: A score is NaN.

    >>> mid_ranks(np.array([[0.2, 0.9, 0.4], [0.5, 0.5, 0.1]]), np.array([2, 0]))
    array([2. , 1.5])
    """
    check_targets(scores, targets)
    missing = int(np.isnan(scores).sum())
    if missing:
        raise VocalSketchError(
            f"{missing} of {scores.size} scores are NaN, so nothing can be ranked: training "
            "diverged (lower the learning rate) or an input is damaged (see `data check`)."
        )
    own = scores[np.arange(len(targets)), targets][:, None]
    above = np.count_nonzero(scores > own, axis=1)
    tied = np.count_nonzero(scores == own, axis=1)  # counts the target itself
    ranks: Ranks = 1.0 + above + (tied - 1) / 2.0
    return ranks


def mean_reciprocal_rank(scores: Floats, targets: NDArray[np.integer]) -> float:
    """Return the mean over queries of 1 / rank of the target (equation 1), in (0, 1]."""
    if len(targets) == 0:
        raise VocalSketchError("No query to rank (0 imitations): the mean reciprocal rank is void.")
    return float((1.0 / mid_ranks(scores, targets)).mean())


def chance_mrr(candidates: int) -> float:
    """Return the MRR that random scores reach on average: H_n / n for n candidates.

    >>> round(chance_mrr(20), 3), round(chance_mrr(60), 3)
    (0.18, 0.078)
    """
    return float(np.mean(1.0 / np.arange(1, candidates + 1)))


def measured(category: "CategoryScores") -> Ranks:
    """Return every measure of every query, (queries, ``MEASURES``)."""
    ranks = mid_ranks(category.scores, category.targets)
    ndcg, precision = graded(category.scores, category.relevant)
    recalled = [(ranks <= count).astype(np.float64) for count in RECALLED]
    return np.stack([1.0 / ranks, *recalled, ranks, ndcg, precision], axis=1)


def chances(category: "CategoryScores") -> tuple[float, float]:
    """Return the MRR and the mean NDCG that random scores reach on average."""
    counts = category.relevant.sum(axis=1)
    gains = _discounts(len(category.candidates))
    expected = counts * gains.mean() / np.cumsum(gains)[counts - 1]
    return chance_mrr(len(gains)), float(expected.mean())


def graded(scores: Floats, relevant: NDArray[np.bool_]) -> tuple[Ranks, Ranks]:
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


def _discounts(candidates: int) -> Ranks:
    return 1.0 / np.log2(np.arange(2, candidates + 2))
