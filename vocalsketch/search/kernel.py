"""Exact scores of every stored sound from stored shares, at the speed of the memory.

A pair's score is the head's rest of (query's share + sound's share). A head with one hidden layer
(TL-IMINET) needs 3 operations for each number that is read: one compiled loop that keeps nothing
in between. A deeper one (IMINET) is matrix products over blocks of rows that stay in the cache.
"""

import threading
from collections.abc import Callable, Sequence

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vocalsketch.cores import available_cores
from vocalsketch.models import MetricHead
from vocalsketch.search.threads import lasting_pool

Floats = NDArray[np.float32]
Shares = NDArray[np.floating]
Kernel = Callable[..., None]
Layer = tuple[Tensor, Tensor]  # weight (inputs, outputs), bias (outputs,)

ROWS_PER_TASK = 32_768  # of one thread: 14 MB of 108 floats, a millisecond's work
ROWS_PER_BLOCK = 1_024  # 1.8 MB of 432 floats: what a thread's part of the cache holds
# sums may be reordered, which vector instructions need; infinities and NaN keep their meaning
FAST = {"reassoc", "contract", "nsz"}
EXPONENT_SHIFT = np.float32(2.0**112)  # 127 - 15, the biases of float32's and float16's exponents


class HeadKernel:
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

    def scores(self, queries: Floats, blocks: Sequence[Shares]) -> Floats:
        """Score every query against every sound.

        Queries from several threads come one after the other: each has all cores.

        Args:
            queries: Shares (queries, width).
            blocks: Shares (sounds, width) each, float32 or float16.

        Returns:
            Logits (queries, sounds of all blocks), float32.
        """
        scores = np.empty((len(queries), sum(map(len, blocks))), dtype=np.float32)
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        tasks, done = [], 0
        for block in blocks:
            for start in range(0, len(block), ROWS_PER_TASK):
                rows = block[start : start + ROWS_PER_TASK]
                tasks.append((queries, rows, scores[:, done : done + len(rows)]))
                done += len(rows)
        with self._lock:
            for _ in self._pool.map(self._score, *zip(*tasks, strict=True)) if tasks else ():
                pass
        return scores

    def _score(self, queries: Floats, shares: Shares, scores: Floats) -> None:
        if len(self._layers) > 1:
            _score_deep(self._layers, queries, shares, scores)
            return
        (weight, bias) = self._layers[0]
        half = shares.dtype == np.float16
        kernel = _score_flat_half if half else _score_flat
        stored = shares.view(np.uint16) if half else shares
        kernel(queries, stored, weight.numpy().ravel(), bias.numpy()[0], scores)


@torch.inference_mode()
def _score_deep(layers: Sequence[Layer], queries: Floats, shares: Shares, scores: Floats) -> None:
    """Fill ``scores`` (queries, rows) through two hidden layers or more."""
    buffer = torch.empty(min(len(shares), ROWS_PER_BLOCK), shares.shape[1])
    for start in range(0, len(shares), ROWS_PER_BLOCK):
        stored = shares[start : start + ROWS_PER_BLOCK]
        rows = slice(start, start + len(stored))
        for query, row in zip(queries, scores, strict=True):
            hidden = buffer[: len(stored)]
            np.add(stored, query, out=hidden.numpy())  # torch takes no read-only memory
            for weight, bias in layers:
                hidden = torch.addmm(bias, hidden.relu_(), weight)
            row[rows] = hidden[:, 0].numpy()


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
def _score_flat(queries, shares, weight, bias, scores):  # type: ignore[no-untyped-def]  # numba's
    """Fill ``scores`` (queries, rows) through one hidden layer."""
    zero = np.float32(0.0)
    for row in range(shares.shape[0]):
        for query in range(queries.shape[0]):
            total = np.float32(0.0)
            for unit in range(shares.shape[1]):
                total += weight[unit] * max(shares[row, unit] + queries[query, unit], zero)
            scores[query, row] = total + bias


@compiled
def _score_flat_half(queries, shares, weight, bias, scores):  # type: ignore[no-untyped-def]  # numba's
    """Fill ``scores`` from shares in float16, given as their bits, which numba cannot read.

    Moved into place, the bits are a float32 whose exponent lacks the difference of the biases.
    """
    zero = np.float32(0.0)
    for row in range(shares.shape[0]):
        for query in range(queries.shape[0]):
            total = np.float32(0.0)
            for unit in range(shares.shape[1]):
                bits = np.int32(shares[row, unit])
                moved = np.int32(((bits & 0x7FFF) << 13) | ((bits & 0x8000) << 16))
                share = moved.view(np.float32) * EXPONENT_SHIFT
                total += weight[unit] * max(share + queries[query, unit], zero)
            scores[query, row] = total + bias
