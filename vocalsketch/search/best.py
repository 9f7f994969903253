"""The best of very many scores."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

BLOCK = 1024  # scores whose maximum stands for them


def best_first(scores: NDArray[np.floating], at_first: int) -> Iterator[int]:
    """Yield places of scores, best first, equal ones in their order.

    Sorting is put off: only a few of the best are looked at before more are asked for.

    Args:
        scores: (n,), finite.
        at_first: About how many will be asked for.
    """
    done, count = 0, max(1, at_first)
    while done < len(scores):
        best = highest(scores, count)
        yield from best[done:].tolist()
        done, count = len(best), count * 4


def highest(scores: NDArray[np.floating], k: int) -> NDArray[np.intp]:
    """Return the places of the k highest scores, best first, equal ones in their order.

    At least k scores reach the k-th highest of the blocks' maxima, and all of the k highest do.
    """
    blocks = len(scores) // BLOCK
    if blocks > k:
        maxima = scores[: blocks * BLOCK].reshape(blocks, BLOCK).max(axis=1)
        places = np.flatnonzero(scores >= np.partition(maxima, -k)[-k])
    else:
        places = np.arange(len(scores))
    order = np.argsort(-scores[places], kind="stable")[:k]
    return np.asarray(places[order])
