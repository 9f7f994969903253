"""Exact scores of stored embeddings by any system, in blocks and with all cores."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import torch

from vocalsketch.features.threads import available_cores
from vocalsketch.search.segment import Floats
from vocalsketch.systems import System
from vocalsketch.systems.head_scorer import lasting_pool

ROWS_PER_TASK = 8_192  # of one thread: 3.5 MB of 108 floats


class BlockScorer:
    """A system's own scores of blocks of rows, for systems that offer no faster ones.

    Args:
        system: Whose ``score`` is asked; what it gives for a pair depends on that pair alone.
        threads: By default a core each.
        weights: Factors on aspects of the system; 1 where left out.
    """

    def __init__(
        self,
        system: System,
        threads: int | None = None,
        weights: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        self._system = system
        self._weights = weights
        self._pool = lasting_pool(threads or available_cores())

    def scores(self, queries: Floats, blocks: Sequence[Floats]) -> Floats:
        """Score every query (q, width) against every row of blocks (n, width): (q, all n)."""
        scores = np.empty((len(queries), sum(map(len, blocks))), dtype=np.float32)
        asked, done, tasks = torch.from_numpy(np.array(queries, np.float32)), 0, []
        for block in blocks:
            for start in range(0, len(block), ROWS_PER_TASK):
                rows = block[start : start + ROWS_PER_TASK]
                tasks.append((rows, scores[:, done : done + len(rows)]))
                done += len(rows)
        for _ in self._pool.map(lambda task: self._score(asked, *task), tasks):
            pass
        return scores

    @torch.inference_mode()
    def _score(self, queries: torch.Tensor, rows: Floats, scores: Floats) -> None:
        """Fill ``scores`` (queries, rows)."""
        if self._weights:
            shares = self._system.aspect_scores(queries, torch.from_numpy(rows.copy()))
            scores[:] = sum(self._weights.get(name, 1.0) * each for name, each in shares.items())
            return
        if self._system.inner_product:
            np.matmul(queries.numpy(), rows.T, out=scores)
            return
        stored = torch.from_numpy(rows.copy())  # torch takes no read-only memory
        scores[:] = self._system.score(queries, stored).numpy()
