"""LightningModules: how each network is trained and evaluated."""

from vocalsketch.tasks.classification import ClassificationTask
from vocalsketch.tasks.imisound import ImisoundTask
from vocalsketch.tasks.retrieval import RetrievalTask
from vocalsketch.tasks.siamese import SiameseTask

__all__ = ["ClassificationTask", "ImisoundTask", "RetrievalTask", "SiameseTask"]
