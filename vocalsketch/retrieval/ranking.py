"""The rank of each query's target and what is made of it (paper, section VI-B, equation 1)."""

import numpy as np
from numpy.typing import NDArray

from vocalsketch.errors import VocalSketchError

Floats = NDArray[np.floating]
Ranks = NDArray[np.float64]


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
        ValueError: The shapes do not fit, or a target is no candidate's index.

    >>> mid_ranks(np.array([[0.2, 0.9, 0.4], [0.5, 0.5, 0.1]]), np.array([2, 0]))
    array([2. , 1.5])
    """
    _check(scores, targets)
    own = scores[np.arange(len(targets)), targets][:, None]
    above = np.count_nonzero(scores > own, axis=1)
    tied = np.count_nonzero(scores == own, axis=1)  # counts the target itself
    ranks: Ranks = 1.0 + above + (tied - 1) / 2.0
    return ranks


def reciprocal_ranks(scores: Floats, targets: NDArray[np.integer]) -> Ranks:
    """Return 1 / rank of each query's target, (queries,); arguments as for ``mid_ranks``."""
    return 1.0 / mid_ranks(scores, targets)


def mean_reciprocal_rank(scores: Floats, targets: NDArray[np.integer]) -> float:
    """Return the mean over queries of 1 / rank of the target (equation 1), in (0, 1].

    Raises:
        VocalSketchError: There is no query, or a score is NaN.
    """
    if len(targets) == 0:
        raise VocalSketchError("No query to rank (0 imitations): the mean reciprocal rank is void.")
    return float(reciprocal_ranks(scores, targets).mean())


def chance_mrr(candidates: int) -> float:
    """Return the MRR that random scores reach on average: H_n / n for n candidates.

    >>> round(chance_mrr(20), 3), round(chance_mrr(60), 3)
    (0.18, 0.078)
    """
    if candidates < 1:
        raise ValueError(f"chance needs at least one candidate, got {candidates}")
    return float(np.mean(1.0 / np.arange(1, candidates + 1)))


def _check(scores: Floats, targets: NDArray[np.integer]) -> None:
    if scores.ndim != 2 or targets.shape != scores.shape[:1]:
        raise ValueError(
            "scores must be (queries, candidates) and targets (queries,), "
            f"got {scores.shape} and {targets.shape}"
        )
    outside = (targets < 0) | (targets >= scores.shape[1])
    if outside.any():
        raise ValueError(
            f"target {targets[outside][0]} is not among {scores.shape[1]} candidates (0 to "
            f"{scores.shape[1] - 1})"
        )
    missing = int(np.isnan(scores).sum())
    if missing:
        raise VocalSketchError(
            f"{missing} of {scores.size} scores are NaN, so nothing can be ranked: training "
            "diverged (lower the learning rate) or an input is damaged (see `data check`)."
        )
