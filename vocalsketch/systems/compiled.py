"""Loops over stored shares, compiled by numba, whose import takes a second."""

from collections.abc import Callable

import numba
import numpy as np

Kernel = Callable[..., None]

# sums may be reordered, which vector instructions need; infinities and NaN keep their meaning
FAST = {"reassoc", "contract", "nsz"}


def compiled(function: Kernel) -> Kernel:
    """Return a compiled function that runs beside other threads.

    What was compiled is kept, beside this file or in the user's cache; where neither can be
    written it is compiled once more in each process, which takes a second.
    """
    try:
        kept: Kernel = numba.njit(nogil=True, fastmath=FAST, cache=True)(function)
    except RuntimeError:  # numba found no place
        made: Kernel = numba.njit(nogil=True, fastmath=FAST)(function)
        return made
    return kept


@compiled
def score_flat(queries, shares, weight, bias, scores):  # type: ignore[no-untyped-def]  # numba's
    """Fill ``scores`` (queries, rows) through one hidden layer."""
    zero = np.float32(0.0)
    for row in range(shares.shape[0]):
        for query in range(queries.shape[0]):
            total = np.float32(0.0)
            for unit in range(shares.shape[1]):
                total += weight[unit] * max(shares[row, unit] + queries[query, unit], zero)
            scores[query, row] = total + bias
