"""Exact scores of every stored sound from stored shares, at the speed of the memory.

A pair's score is the head's rest of (query's share + sound's share). A head with one hidden layer
(TL-IMINET) needs 3 operations for each number that is read: one compiled loop that keeps nothing
in between. A deeper one (IMINET) is matrix products over blocks of rows that stay in the cache.
"""

import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from torch import nn

from vocalsketch.models import MetricHead

Floats = NDArray[np.float32]
Shares = NDArray[np.floating]
Layer = tuple[Floats, Floats]  # weight (inputs, outputs), bias (outputs,)

ROWS_PER_TASK = 32_768  # of one thread: 14 MB of 108 floats, a millisecond's work
ROWS_PER_BLOCK = 256  # 432 kB of 432 floats, within the cache of a core
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
            (_array(layer.weight.T), _array(layer.bias)) for layer in layers
        ]
        self._pool = ThreadPoolExecutor(threads or os.cpu_count() or 1)
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
        # The threads are ours: BLAS must not start some in each of them.
        with self._lock, threadpool_limits(1, user_api="blas"):
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
        kernel(queries, shares.view(np.uint16) if half else shares, weight.ravel(), bias[0], scores)


def _score_deep(layers: Sequence[Layer], queries: Floats, shares: Shares, scores: Floats) -> None:
    """Fill ``scores`` (queries, rows) through any number of hidden layers."""
    buffer = np.empty((ROWS_PER_BLOCK, shares.shape[1]), dtype=np.float32)
    for start in range(0, len(shares), ROWS_PER_BLOCK):
        stored = shares[start : start + ROWS_PER_BLOCK]
        rows = slice(start, start + len(stored))
        for query, row in zip(queries, scores, strict=True):
            hidden = np.add(stored, query, out=buffer[: len(stored)])
            for weight, bias in layers:
                np.maximum(hidden, 0.0, out=hidden)
                hidden = hidden @ weight
                hidden += bias
            row[rows] = hidden[:, 0]


@numba.njit(nogil=True, fastmath=FAST, cache=True)
def _score_flat(queries, shares, weight, bias, scores):  # type: ignore[no-untyped-def]  # numba's
    """Fill ``scores`` (queries, rows) through one hidden layer."""
    zero = np.float32(0.0)
    for row in range(shares.shape[0]):
        for query in range(queries.shape[0]):
            total = np.float32(0.0)
            for unit in range(shares.shape[1]):
                total += weight[unit] * max(shares[row, unit] + queries[query, unit], zero)
            scores[query, row] = total + bias


@numba.njit(nogil=True, fastmath=FAST, cache=True)
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


def _array(parameter: torch.Tensor) -> Floats:
    return np.ascontiguousarray(parameter.detach().cpu().numpy(), dtype=np.float32)
