"""Leaves out what libraries say that is of no use to whoever runs an experiment."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

NOISE = (
    # Lightning's own use of what its dependencies deprecate
    r"[\s\S]*JsonargparseDeprecationWarning",
    r".*isinstance\(treespec, LeafSpec\)",
    # advice that does not apply: batches are read from mapped memory, in no time
    r".*does not have many workers",
    # a frozen backbone, as asked for
    r"Found \d+ module\(s\) in eval mode at the start of training",
    # a resumed run, and an evaluation in a folder of its own, are as they should be
    r"Checkpoint directory .* exists and is not empty",
    r"The dirpath has changed from",
    # a checkpoint's weights are the average already
    r"You're using the WeightAveraging callback, but loading a checkpoint outside",
)
ADVERTISEMENTS = ("pytorch_lightning.utilities.rank_zero", "lightning_fabric.utilities.seed")


@contextmanager
def without_noise() -> Iterator[None]:
    """Ignore known noise within the block."""
    levels = {name: logging.getLogger(name).level for name in ADVERTISEMENTS}
    with warnings.catch_warnings():
        for pattern in NOISE:
            warnings.filterwarnings("ignore", pattern)
        for name in ADVERTISEMENTS:
            logging.getLogger(name).setLevel(logging.WARNING)
        try:
            yield
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)
