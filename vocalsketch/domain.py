"""The words of the task, each once: sides, halves and what a score is."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Side = Literal["imitation", "recording"]
SIDES: tuple[Side, Side] = ("imitation", "recording")

Half = Literal["validation", "test"]

Kind = Literal["logit", "cosine", "distance", "similarity", "log_likelihood"]
"""What a score is, which decides how it becomes a likelihood in a fusion: the ``logit`` of a pair
being positive, a ``cosine`` similarity, a negated ``distance``, a ``log_likelihood`` (a fusion), or
a ``similarity`` without such a meaning, which ranks but does not fuse."""

Indices = NDArray[np.int64]  # rows of a table
