"""Lightning callbacks and the tracker."""

from vocalsketch.callbacks.results import MRRPerCategory, ResultsWriter, RetrievalMedia
from vocalsketch.callbacks.training import EpochSeed, PreciseBatchNorm
from vocalsketch.callbacks.wandb_tracker import WandbTracker

__all__ = [
    "EpochSeed",
    "MRRPerCategory",
    "PreciseBatchNorm",
    "ResultsWriter",
    "RetrievalMedia",
    "WandbTracker",
]
