"""Lightning callbacks and the tracker."""

from vocalsketch.callbacks.epoch_seed import EpochSeed
from vocalsketch.callbacks.precise_batch_norm import PreciseBatchNorm
from vocalsketch.callbacks.results import ConfusionWriter, MRRPerCategory, ResultsWriter
from vocalsketch.callbacks.retrieval_media import RetrievalMedia
from vocalsketch.callbacks.wandb_tracker import WandbTracker

__all__ = [
    "ConfusionWriter",
    "EpochSeed",
    "MRRPerCategory",
    "PreciseBatchNorm",
    "ResultsWriter",
    "RetrievalMedia",
    "WandbTracker",
]
