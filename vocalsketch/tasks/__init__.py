"""LightningModules: how each network is trained and evaluated."""

from vocalsketch.tasks.retrieval import RetrievalTask
from vocalsketch.tasks.siamese import SiameseTask

__all__ = ["RetrievalTask", "SiameseTask"]
