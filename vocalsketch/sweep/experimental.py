"""Optuna marks heartbeat, retry and some samplers as experimental, with a warning at each use."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from optuna.exceptions import ExperimentalWarning


@contextmanager
def experimental() -> Iterator[None]:
    """Use what Optuna calls experimental, without its warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield
