"""A metric head's exact scores of stored embeddings, at the speed of the memory.

A pair's score is the head's rest of (query's share + sound's share). A deep head (IMINET) is
matrix products over blocks of rows that stay in the cache. One with a single hidden layer
(TL-IMINET) needs 3 operations for each number that is read: one compiled loop that keeps nothing in
between, unless the sounds are so few that loading the compiler would take longer than all else.
"""

import threading
from collections.abc import Callable, Sequence
from functools import cache, partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vocalsketch.models import MetricHead
from vocalsketch.spread.threads import available_cores, lasting_pool

Floats = NDArray[np.float32]
Kernel = Callable[..., None]
Layer = tuple[Tensor, Tensor]  # weight (inputs, outputs), bias (outputs,)

ROWS_PER_TASK = 32_768  # of one thread: 14 MB of 108 floats, a millisecond's work
ROWS_PER_BLOCK = 1_024  # 1.8 MB of 432 floats: what a thread's part of the cache holds
# sums may be reordered, which vector instructions need; infinities and NaN keep their meaning
FAST = {"reassoc", "contract", "nsz"}
FEW = 65_536  # sounds: 3 ms of matrix products, where importing numba takes a second


class HeadScorer:
    """A metric head's scores of all stored shares, with all cores; nothing is done per sound.

    Args:
        head: A trained head.
        threads: By default a core each.
    """

    def __init__(self, head: MetricHead, threads: int | None = None) -> None:
        layers = [layer for layer in head.rest if isinstance(layer, nn.Linear)]
        self._layers: list[Layer] = [
            (layer.weight.detach().t().contiguous(), layer.bias.detach()) for layer in layers
        ]
        self._pool = lasting_pool(threads or available_cores())
        self._lock = threading.Lock()

    def __call__(self, queries: Floats, blocks: Sequence[Floats]) -> Floats:
        """Map shares (queries, width), (sounds, width) to logits (queries, sounds of all blocks).

        Queries from several threads come one after the other: each has all cores.
        """
        sounds = sum(map(len, blocks))
        by_blocks = len(self._layers) > 1 or sounds <= FEW
        score = self._score_by_blocks if by_blocks else partial(self._score_flat, compiled(_score))
        scores = np.empty((len(queries), sounds), dtype=np.float32)
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        tasks, done = [], 0
        for block in blocks:
            for start in range(0, len(block), ROWS_PER_TASK):
                rows = block[start : start + ROWS_PER_TASK]
                tasks.append((queries, rows, scores[:, done : done + len(rows)]))
                done += len(rows)
        with self._lock:
            for _ in self._pool.map(score, *zip(*tasks, strict=True)) if tasks else ():
                pass
        return scores

    def _score_flat(self, by: Kernel, queries: Floats, shares: Floats, scores: Floats) -> None:
        """Fill ``scores`` (queries, rows) through the only hidden layer."""
        ((weight, bias),) = self._layers
        by(queries, shares, weight.numpy().ravel(), bias.numpy()[0], scores)

    @torch.inference_mode()
    def _score_by_blocks(self, queries: Floats, shares: Floats, scores: Floats) -> None:
        """Fill ``scores`` (queries, rows) through any number of hidden layers."""
        buffer = torch.empty(min(len(shares), ROWS_PER_BLOCK), shares.shape[1])
        for start in range(0, len(shares), ROWS_PER_BLOCK):
            stored = shares[start : start + ROWS_PER_BLOCK]
            rows = slice(start, start + len(stored))
            for query, row in zip(queries, scores, strict=True):
                hidden = buffer[: len(stored)]
                np.add(stored, query, out=hidden.numpy())  # torch takes no read-only memory
                for weight, bias in self._layers:
                    hidden = torch.addmm(bias, hidden.relu_(), weight)
                row[rows] = hidden[:, 0].numpy()


@cache
def compiled(function: Kernel) -> Kernel:
    """Return a compiled function that runs beside other threads.

    What was compiled is kept, beside this file or in the user's cache; where neither can be
    written it is compiled once more in each process, which takes a second.
    """
    import numba  # which takes a second

    try:
        kept: Kernel = numba.njit(nogil=True, fastmath=FAST, cache=True)(function)
    except RuntimeError:  # numba found no place
        kept = numba.njit(nogil=True, fastmath=FAST)(function)
    return kept


def _score(queries, shares, weight, bias, scores):  # type: ignore[no-untyped-def]  # numba's
    """Fill ``scores`` (queries, rows) through one hidden layer."""
    zero = np.float32(0.0)
    for row in range(shares.shape[0]):
        for query in range(queries.shape[0]):
            total = np.float32(0.0)
            for unit in range(shares.shape[1]):
                total += weight[unit] * max(shares[row, unit] + queries[query, unit], zero)
            scores[query, row] = total + bias
